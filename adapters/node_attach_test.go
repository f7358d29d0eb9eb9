package adapters

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/debugbroker/debugbroker/integration/tools"
)

// nodeProgram runs the ticker without an inspector.
func nodeProgram(t *testing.T, file string, flags ...string) *server {
	t.Helper()
	s := runs(t, "/", nil, append(append([]string{tools.Need(t, tools.Node)}, flags...), file, "1000000")...)
	s.line("first tick", ticks.MatchString)
	return s
}

// esm is the ticker as a module.
func esm(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(nodeScriptFile(t))
	must(t, "read", err)
	file := shortDir(t) + "/ticker.mjs"
	must(t, "write", os.WriteFile(file, b, 0o600))
	return file
}

func listens(address string) bool {
	c, err := net.Dial("tcp", address)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// A front end comes, stops the program, steps and leaves or drops; or the session ends while the program is stopped: it runs on, the
// inspector is closed, and all that works again on the same process.
func TestNodeAttach(t *testing.T) {
	for name, file := range map[string]string{"script": nodeScriptFile(t), "module": esm(t)} {
		t.Run(name, func(t *testing.T) {
			program := nodeProgram(t, file, "--inspect-port=0")
			for _, way := range []string{"leaves", "drops", "stays"} {
				guard := attachTo(t, NewNode(), Request{Target: program.target()})
				if guard.plan.Stays || !guard.plan.Stands {
					t.Fatalf("plan:\n%s", render(guard.plan))
				}
				c := inspect(t, guard)
				c.Start()
				must(t, "breakpoint", c.Call(t.Context(), "Debugger.setBreakpointByUrl", dict{"lineNumber": 3, "columnNumber": 40, "urlRegex": `.*ticker\.m?js`}, nil))
				c.WaitPaused()
				c.StepOver()
				switch way {
				case "leaves":
					must(t, "close", c.Close())
					program.goesOn(ticks, 5)
				case "drops":
					c.Abort()
					program.goesOn(ticks, 5)
				}
				if !listens(guard.address) {
					t.Errorf("%s: the inspector does not listen any more", way)
				}
				guard.leave()
				program.goesOn(ticks, 5)
				if listens(guard.address) {
					t.Errorf("%s: the inspector still listens on %s", way, guard.address)
				}
			}
		})
	}
}

// An inspector that was there before the session stays.
func TestNodeAttachInspected(t *testing.T) {
	program := nodeProgram(t, nodeScriptFile(t), "--inspect=127.0.0.1:0")
	m := nodeReady.FindStringSubmatch(program.line("announcement", nodeReady.MatchString))
	target := program.target()
	target.Listening = []string{m[1]}
	for range 2 {
		guard := attachTo(t, NewNode(), Request{Target: target})
		if !guard.plan.Stays || guard.address != m[1] || guard.path != m[2] {
			t.Fatalf("announced %s%s, want %s%s; plan:\n%s", guard.address, guard.path, m[1], m[2], render(guard.plan))
		}
		c := inspect(t, guard)
		c.Start()
		c.Abort()
		guard.leave()
		program.goesOn(ticks, 3)
		if !listens(m[1]) {
			t.Fatal("the inspector was closed")
		}
	}
}

// The guard ends with its program.
func TestNodeAttachEndsWithTheProgram(t *testing.T) {
	program := nodeProgram(t, nodeScriptFile(t), "--inspect-port=0")
	guard := attachTo(t, NewNode(), Request{Target: program.target()})
	must(t, "kill", program.cmd.Process.Kill())
	if got := guard.exit(); got != 0 {
		t.Errorf("exit %d; output:\n%s", got, guard.output())
	}
}

func TestNodeAttachRefusals(t *testing.T) {
	node := tools.Need(t, tools.Node)
	busy, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, "listen", err)
	defer busy.Close()
	_, port, _ := net.SplitHostPort(busy.Addr().String())
	deaf := `process.on("SIGUSR1", () => {}); ` // takes the signal, and nothing comes of it
	for name, c := range map[string]struct {
		argv   []string
		change func(*Running)
		code   Code
		says   string
	}{
		"taken":   {[]string{"--inspect-port=" + port}, nil, Foreign, "port " + port + ", on which its inspector would listen, is taken by pid "},
		"silent":  {[]string{"--inspect-port=0", "-e", deaf}, nil, Foreign, "did not open its inspector"},
		"exposed": {[]string{"--inspect-port=0.0.0.0:0"}, nil, Foreign, "beyond loopback"},
		"hidden":  {[]string{"--inspect-publish-uid=stderr"}, nil, Foreign, "hides its address"},
		"gone":    {[]string{"--inspect-port=0"}, func(r *Running) { r.Start += "0" }, NotFound, "it has ended"},
		"deaf":    {[]string{"--inspect-port=0"}, func(r *Running) { r.Caught = 1 }, Foreign, "does not take SIGUSR1"},
	} {
		t.Run(name, func(t *testing.T) {
			loop := `let i = 0; setInterval(() => console.log("tick", i++, i), 20)`
			argv := append([]string{node}, c.argv...)
			if len(c.argv) == 3 {
				argv[3] += loop
			} else {
				argv = append(argv, "-e", loop)
			}
			program := runs(t, "/", nil, argv...)
			program.line("first tick", ticks.MatchString)
			target := program.target()
			if c.change != nil {
				c.change(&target)
			}
			plan, err := planAttach(t, NewNode(), Request{Target: target})
			var refused *Error
			if err == nil {
				guard := start(t, plan)
				if got := guard.exit(); got != 1 {
					t.Errorf("exit %d", got)
				}
				f, ok := failed(plan, guard.output())
				if !ok {
					t.Fatalf("output:\n%s", guard.output())
				}
				refused = &Error{f.Code, f.Message + guard.output(), f.Hint}
			} else if !errors.As(err, &refused) {
				t.Fatal(err)
			}
			if refused.Code != c.code || !strings.Contains(refused.Message, c.says) || refused.Hint == "" {
				t.Errorf("got %+v", refused)
			}
			program.goesOn(ticks, 3)
		})
	}
}

// A node without a handler for SIGUSR1 dies of it, so the guard looks again, whatever the process table told before.
func TestNodeGuardLooksBeforeItSignals(t *testing.T) {
	program := runs(t, "/", nil, "sleep", "60")
	target := program.target()
	target.Exe, target.Caught = tools.Need(t, tools.Node), 1<<9
	plan, err := planAttach(t, NewNode(), Request{Target: target})
	must(t, "plan", err)
	guard := start(t, plan)
	guard.exit()
	if f, ok := failed(plan, guard.output()); !ok || f.Code != Foreign || !strings.Contains(guard.output(), "SIGUSR1") {
		t.Errorf("%+v; output:\n%s", f, guard.output())
	}
	if program.cmd.Process.Signal(syscall.Signal(0)) != nil {
		t.Error("the process has died")
	}
}

func TestNodeRecognise(t *testing.T) {
	for _, c := range []struct {
		r    Running
		ok   bool
		want Found
	}{
		{Running{Exe: "/usr/bin/node", Argv: []string{"node", "app.js"}}, true, Found{}},
		{Running{Exe: "/usr/bin/node-18", Argv: []string{"node", "app.js"}}, true, Found{}},
		{Running{Argv: []string{"/opt/nodejs", "app.js"}}, true, Found{}},
		{Running{Exe: "/opt/app", Argv: []string{"app"}, Marks: []string{"libnode"}}, true, Found{}},
		{Running{Exe: "/usr/bin/nodemon", Argv: []string{"nodemon"}}, false, Found{}},
		{Running{}, false, Found{}},
		{Running{Exe: "/usr/bin/node", Argv: []string{"node", "/tmp/dbk-x/node_guard.js", "7"}}, true, Found{Server: true}},
		{Running{Exe: "/usr/bin/node", Argv: []string{"node", "a.js"}, Listening: []string{"0.0.0.0:3000", "127.0.0.1:9229"}}, true, Found{Listening: "127.0.0.1:9229"}},
		{Running{Exe: "/usr/bin/node", Argv: []string{"node", "a.js"}, Listening: []string{"0.0.0.0:9229"}}, true, Found{}},
		{Running{Exe: "/usr/bin/node", Argv: []string{"node", "--inspect=0.0.0.0", "a.js"}, Listening: []string{"0.0.0.0:9229"}}, true, Found{Listening: "0.0.0.0:9229"}},
		{Running{Exe: "/usr/bin/node", Argv: []string{"node", "-r", "x", "--inspect-brk=[::1]:7", "a.js"}, Listening: []string{"[::1]:7"}}, true, Found{Listening: "[::1]:7"}},
		{Running{Exe: "/usr/bin/node", Argv: []string{"node", "--inspect-port", "8", "a.js"}, Listening: []string{"127.0.0.1:8"}}, true, Found{Listening: "127.0.0.1:8"}},
		{Running{Exe: "/usr/bin/node", Argv: []string{"node", "--inspect=0", "a.js"}, Listening: []string{"127.0.0.1:41", "0.0.0.0:80"}}, true, Found{Listening: "127.0.0.1:41"}},
		{Running{Exe: "/usr/bin/node", Argv: []string{"node", "--inspect=0", "a.js"}, Listening: []string{"127.0.0.1:41", "127.0.0.1:80"}}, true, Found{}},
		{Running{Exe: "/usr/bin/node", Argv: []string{"node", "a.js", "--inspect=7"}, Listening: []string{"127.0.0.1:7"}}, true, Found{}},
		{Running{Exe: "/usr/bin/node", Argv: []string{"node", "--inspect=99999", "--inspect-port"}, Listening: []string{"junk", "127.0.0.1:x"}}, true, Found{}},
	} {
		if got, ok := NewNode().Recognise(c.r); ok != c.ok || got != c.want {
			t.Errorf("%+v: %+v, %t", c.r, got, ok)
		}
	}
}
