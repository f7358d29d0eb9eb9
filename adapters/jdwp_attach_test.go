package adapters

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// javaProgram runs the ticker with options of the JVM, as its user would.
func javaProgram(t *testing.T, env []string, options ...string) *server {
	t.Helper()
	argv := append([]string{tools.Need(t, tools.Java).Java}, options...)
	var s *server
	t.Cleanup(func() { // a killed JVM leaves the socket of jcmd
		if s != nil {
			_ = os.Remove("/tmp/.java_pid" + strconv.Itoa(s.cmd.Process.Pid))
		}
	})
	s = runs(t, "/", env, append(argv, "-cp", javaClasses(t), "Ticker", "1000000", "0")...)
	if !strings.Contains(strings.Join(argv, " "), "suspend=y") {
		s.line("first tick", ticks.MatchString)
	}
	return s
}

// agent is the option for an agent.
func agent(options string) string {
	return "-agentlib:jdwp=transport=dt_socket,server=y," + options
}

// javaTarget is the program as the broker would find it; what it has announced last is where its agent listens.
func (s *server) javaTarget() Running {
	s.t.Helper()
	r := s.target()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		if m := javaReady.FindStringSubmatch(l); m != nil {
			r.Listening = []string{"127.0.0.1:" + m[1]}
		}
	}
	return r
}

func anyPort(t *testing.T) string { return strconv.Itoa(freeport.On127(t)) }

// jdbStops has jdb stop the program in tick, and step.
func jdbStops(t *testing.T, address string) expect.Console {
	t.Helper()
	jdb := expect.StartJdb(t, tools.Need(t, tools.Java).Jdb, address, "testdata/java")
	// A program that runs may hit it in the midst of the answer.
	jdb.Ask("stop in Ticker.tick", `(?s)Breakpoint hit.*main\[1\] `)
	jdb.Ask("print i", `i = \d+`)
	jdb.Ask("next", `(?s)Step completed.*main\[1\] `)
	return jdb
}

// A front end comes, stops the program, steps and leaves or crashes; or the session ends when it has crashed at a breakpoint: the program
// runs on, and all that works again on the same process.
func TestJDWPAttach(t *testing.T) {
	for name, c := range map[string]struct {
		env, option string
		asked       bool
	}{
		"listens":         {"", agent("suspend=n,address=127.0.0.1:" + anyPort(t)), false},
		"listens on any":  {"", agent("suspend=n"), false},
		"onjcmd":          {"", agent("suspend=n,onjcmd=y,address=127.0.0.1:" + anyPort(t)), true},
		"onjcmd, any":     {"", agent("suspend=n,onjcmd=y,quiet=n"), true},
		"from a variable": {"JAVA_TOOL_OPTIONS=-Xmx64m " + agent("suspend=n,onjcmd=y,address=localhost:"+anyPort(t)), "-Xint", true},
		"without signals": {"", agent("suspend=n,onjcmd=y,address=" + anyPort(t)), true},
	} {
		t.Run(name, func(t *testing.T) {
			options := []string{c.option}
			if name == "without signals" {
				options = append(options, "-Xrs")
			}
			program := javaProgram(t, []string{c.env}, options...)
			for round, way := range []string{"leaves", "crashes", "leaves"} {
				if round > 0 { // the agent listens again some milliseconds after its front end has gone
					program.line("announcement", func(string) bool { return program.count(javaReady) > round })
				}
				guard := attachTo(t, NewJDWP(), Request{Target: program.javaTarget()})
				p := guard.plan
				if !p.Stands || !p.Stays || !p.OneClient || !p.NeverTerminate || (len(p.Leaves) > 0) != c.asked || (len(p.Files) > 1) != (c.asked && round == 0) {
					t.Fatalf("plan:\n%s", render(p))
				}
				program.goesOn(ticks, 3) // it waits for nobody
				jdb := jdbStops(t, guard.address)
				if way == "leaves" {
					jdb.Quit("quit")
				} else {
					jdb.Kill()
				}
				program.goesOn(ticks, 5)
				guard.leave()
				program.goesOn(ticks, 5)
			}
		})
	}
}

// A program that was started to wait does that until the first front end has come.
func TestJDWPAttachWaiting(t *testing.T) {
	program := javaProgram(t, nil, agent("suspend=y,address=127.0.0.1:"+anyPort(t)))
	program.line("announcement", javaReady.MatchString)
	guard := attachTo(t, NewJDWP(), Request{Target: program.javaTarget()})
	jdb := expect.StartJdb(t, tools.Need(t, tools.Java).Jdb, guard.address, "testdata/java")
	jdb.AwaitSuspended()
	jdb.Kill()
	program.goesOn(ticks, 3)
	guard.leave()
	program.goesOn(ticks, 3)
}

// The guard ends with its program.
func TestJDWPAttachEndsWithTheProgram(t *testing.T) {
	program := javaProgram(t, nil, agent("suspend=n,onjcmd=y"))
	guard := attachTo(t, NewJDWP(), Request{Target: program.javaTarget()})
	must(t, "kill", program.cmd.Process.Kill())
	if got := guard.exit(); got != 0 {
		t.Errorf("exit %d; output:\n%s", got, guard.output())
	}
}

func TestJDWPAttachSecondDebugger(t *testing.T) {
	program := javaProgram(t, nil, agent("suspend=n,address=127.0.0.1:"+anyPort(t)))
	target := program.javaTarget()
	first := jdbStops(t, target.Listening[0])
	target.Listening = nil // as it is while a front end is there
	_, err := planAttach(t, NewJDWP(), Request{Target: target})
	var refused *Error
	if !errors.As(err, &refused) || refused.Code != Foreign || !strings.Contains(refused.Message, "is already being debugged by pid ") || !strings.Contains(refused.Message, "(jdb)") {
		t.Errorf("%v", err)
	}
	first.Quit("quit")
	program.goesOn(ticks, 3)
}

func TestJDWPAttachRefusals(t *testing.T) {
	busy, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, "listen", err)
	defer busy.Close()
	argfile := filepath.Join(t.TempDir(), "options")
	must(t, "write", os.WriteFile(argfile, []byte(agent("suspend=n,address=127.0.0.1:0")), 0o600))
	for name, c := range map[string]struct {
		options []string
		change  func(*Running)
		code    Code
		says    string
		hint    string
	}{
		"no agent": {nil, nil, Foreign, "started without a debug agent, and a JVM cannot load one while it runs", "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=127.0.0.1:5005"},
		"exposed":  {[]string{agent("suspend=n,onjcmd=y,address=*:5005")}, nil, Foreign, "would listen on *:5005, beyond loopback", "address=127.0.0.1:5005"},
		"no jcmd":  {[]string{agent("suspend=n,onjcmd=y"), "-XX:+DisableAttachMechanism"}, nil, Foreign, "DisableAttachMechanism", "without one of the two"},
		"event":    {[]string{agent("suspend=n,onthrow=java.io.IOException,launch=true")}, nil, Foreign, "only after java.io.IOException", "start it with"},
		"timeout":  {[]string{agent("suspend=n,onjcmd=y,timeout=300")}, nil, Foreign, "ends the program when no front end is there for 300 ms", "--port"},
		"argfile": {[]string{"@" + argfile}, func(r *Running) { r.Listening = []string{"127.0.0.1:77"} }, Foreign,
			"whose options are neither on its command line nor in its environment", "127.0.0.1:77"},
		"taken": {[]string{agent("suspend=n,onjcmd=y,address=" + busy.Addr().String())}, nil, Foreign, "on which its debug agent would listen, is taken", "end what listens"},
		"gone":  {[]string{agent("suspend=n,onjcmd=y")}, func(r *Running) { r.Start += "0" }, NotFound, "it has ended", "brokerctl ps"},
		"many": {[]string{agent("suspend=n,address=127.0.0.1:0")}, func(r *Running) { r.Listening = []string{"127.0.0.1:7", "127.0.0.1:8"} }, Foreign,
			"which of its sockets", "--port: 127.0.0.1:7, 127.0.0.1:8"},
	} {
		t.Run(name, func(t *testing.T) {
			program := javaProgram(t, nil, c.options...)
			target := program.javaTarget()
			if c.change != nil {
				c.change(&target)
			}
			plan, err := planAttach(t, NewJDWP(), Request{Target: target})
			refused := guardRefusal(t, plan, err)
			if refused.Code != c.code || !strings.Contains(refused.Message, c.says) || !strings.Contains(refused.Hint, c.hint) {
				t.Errorf("got %+v", refused)
			}
			program.goesOn(ticks, 3)
			if n := program.count(javaReady); n > 1 || n == 1 && strings.Contains(strings.Join(c.options, " "), "onjcmd=y") {
				t.Errorf("the agent was started; output:\n%s", program.output())
			}
		})
	}
}

// guardRefusal is why there is no plan, or why its guard ended.
func guardRefusal(t *testing.T, plan Plan, err error) *Error {
	t.Helper()
	var refused *Error
	if errors.As(err, &refused) {
		return refused
	}
	must(t, "plan", err)
	guard := start(t, plan)
	if got := guard.exit(); got != 1 {
		t.Errorf("exit %d", got)
	}
	f, ok := failed(plan, guard.output())
	if !ok {
		t.Fatalf("output:\n%s", guard.output())
	}
	return &Error{f.Code, f.Message + guard.output(), f.Hint}
}

// A process without a handler for SIGQUIT dies of jcmd, so the guard looks before it asks.
func TestJDWPGuardLooksBeforeItAsks(t *testing.T) {
	program := runs(t, "/", nil, "sleep", "60")
	target := program.target()
	target.Argv, target.Exe = []string{"java", agent("onjcmd=y,address=" + anyPort(t)), "App"}, tools.Need(t, tools.Java).Java
	req := Request{Mode: Attach, Target: target, Host: here(t), Workspace: shortDir(t), Facts: map[string]string{javaProbe: records("jcmd=" + filepath.Join(filepath.Dir(target.Exe), "jcmd"))}}
	for _, shell := range shells(t) {
		plan, err := NewJDWP().Plan(req)
		must(t, "plan", err)
		for _, f := range plan.Files {
			must(t, "write", os.WriteFile(filepath.Join(req.Workspace, f.Name), f.Data, 0o600))
		}
		plan.Argv[0] = shell
		if refused := guardRefusal(t, plan, nil); refused.Code != Foreign || !strings.Contains(refused.Message, "SIGQUIT") {
			t.Errorf("%s: %+v", shell, refused)
		}
	}
	select {
	case <-program.ended:
		t.Error("the process has died")
	default:
	}
}
