package adapters

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/adapters/dlvrpc"
	"github.com/google/go-dap"
)

var ticks = regexp.MustCompile(`^tick \d+`)

// dlvPath finds the Delve that go.mod pins.
func dlvPath(t *testing.T) string {
	t.Helper()
	p := goTool(t, "tool", "-n", "dlv")
	if _, err := exec.LookPath(p); err != nil {
		goTool(t, "build", "-o", filepath.Join(t.TempDir(), "dlv"), "github.com/go-delve/delve/cmd/dlv")
	}
	return p
}

// delvePlan plans a launch on this machine.
func delvePlan(t *testing.T, unix bool, wait bool, program ...string) Plan {
	t.Helper()
	host := here(t)
	host.StreamLocal = unix
	req := probed(t, NewDelve(), Request{
		Mode: Launch, Program: program, Interpreter: dlvPath(t), Wait: wait, Host: host, Workspace: shortDir(t),
	}, "/bin/sh")
	plan, err := NewDelve().Plan(req)
	must(t, "plan", err)
	return plan
}

func goprogSource(t *testing.T) string {
	t.Helper()
	p, err := filepath.Abs("testdata/goprog/main.go")
	must(t, "abs", err)
	return p
}

const tickLine = 31

func TestDelveFrontEndLeavesAndComesBack(t *testing.T) {
	for name, unix := range map[string]bool{"unix": true, "tcp": false} {
		t.Run(name, func(t *testing.T) {
			s := carryOut(t, delvePlan(t, unix, true, goProgram(t, "goprog"), "100000", "0"))
			if s.started.PID == 0 || s.started.Version == "" {
				t.Errorf("started: %+v", s.started)
			}
			exit := s.watched()
			for round := range 3 {
				must(t, "before first", s.plan.BeforeFirst(t.Context(), s.dial))
				c := newDelveFrontEnd(t, s)
				c.attach(goprogSource(t), tickLine)
				stop := expect[*dap.StoppedEvent](c)
				before := c.look(stop, "i")
				stop = c.next(stop)
				if stop.Body.Reason != "step" || before == "" {
					t.Fatalf("round %d: %+v, i %q", round, stop.Body, before)
				}
				if round == 1 { // an IDE that crashes
					_ = c.conn.Close()
				} else {
					c.leave()
				}
				begin := time.Now()
				must(t, "after last", s.plan.AfterLast(t.Context(), s.dial))
				t.Logf("round %d: AfterLast took %v", round, time.Since(begin))
				s.goesOn(ticks, 5)
			}
			must(t, "stop", s.plan.Stop(t.Context(), s.dial))
			select {
			case <-s.ended:
			case <-time.After(limit):
				t.Fatal("Delve does not end")
			}
			<-exit
		})
	}
}

func TestDelveWatch(t *testing.T) {
	bin := goProgram(t, "goprog")
	for name, c := range map[string]struct {
		how  string
		kill syscall.Signal
		want Exit
	}{
		"zero":  {how: "0", want: Exit{}},
		"three": {how: "3", want: Exit{Code: 3}},
		"panic": {how: "panic", want: Exit{Code: 2}},
		"kill":  {how: "0", kill: syscall.SIGKILL, want: Exit{Signal: "KILL"}},
		"term":  {how: "0", kill: syscall.SIGTERM, want: Exit{Signal: "TERM"}},
	} {
		t.Run(name, func(t *testing.T) {
			turns := "10"
			if c.kill != 0 {
				turns = "100000"
			}
			s := carryOut(t, delvePlan(t, true, false, bin, turns, c.how))
			exit := s.watched()
			s.goesOn(ticks, 3)
			if c.kill != 0 {
				must(t, "kill", syscall.Kill(s.started.PID, c.kill))
			}
			if got, ok := <-exit; !ok || got != c.want {
				t.Errorf("exit %+v, want %+v; output:\n%s", got, c.want, s.output())
			}
			must(t, "after last, of an ended program", s.plan.AfterLast(t.Context(), s.dial))
		})
	}
}

// A halted program that is killed from outside is seen by Delve when it is touched next, not before.
func TestDelveKilledWhileHalted(t *testing.T) {
	s := carryOut(t, delvePlan(t, true, true, goProgram(t, "goprog"), "100000", "0"))
	exit := s.watched()
	must(t, "kill", syscall.Kill(s.started.PID, syscall.SIGKILL))
	must(t, "after last", s.plan.AfterLast(t.Context(), s.dial))
	if got, ok := <-exit; !ok || got != (Exit{Signal: "KILL"}) {
		t.Errorf("exit %+v, %v", got, ok)
	}
}

// An IDE that crashes while the program runs: Delve's session of it resumes a halt until it notices that it is alone.
func TestDelveAfterLastRacesWithTheDisconnect(t *testing.T) {
	s := carryOut(t, delvePlan(t, true, true, goProgram(t, "goprog"), "100000", "0"))
	s.watched()
	var longest time.Duration
	for range 50 {
		must(t, "before first", s.plan.BeforeFirst(t.Context(), s.dial))
		c := newDelveFrontEnd(t, s)
		c.attach(goprogSource(t), 0)
		begin := time.Now()
		_ = c.conn.Close()
		must(t, "after last", s.plan.AfterLast(t.Context(), s.dial))
		longest = max(longest, time.Since(begin))
	}
	s.goesOn(ticks, 2)
	t.Logf("longest %v", longest)
}

// Why OneClient is set: a second DAP client's attach is not answered while the first lets the program run.
func TestDelveSecondDAPClient(t *testing.T) {
	s := carryOut(t, delvePlan(t, true, true, goProgram(t, "goprog"), "100000", "0"))
	a := newDelveFrontEnd(t, s)
	a.attach(goprogSource(t), 0)
	s.goesOn(ticks, 2)
	b := newDelveFrontEnd(t, s)
	b.send(&dap.InitializeRequest{Request: b.request("initialize"), Arguments: dap.InitializeRequestArguments{AdapterID: "go", PathFormat: "path", LinesStartAt1: true, ColumnsStartAt1: true}})
	expect[*dap.InitializeResponse](b)
	b.send(&dap.AttachRequest{Request: b.request("attach"), Arguments: []byte(`{"mode":"remote"}`)})
	if m, err := b.within(700 * time.Millisecond); err == nil {
		t.Errorf("the second client's attach is answered by now (%T): OneClient may go", m)
	}
	// A JSON-RPC client is served meanwhile.
	conn, err := s.dial(t.Context())
	must(t, "dial", err)
	rpc := dlvrpc.New(conn)
	defer rpc.Close()
	if st, err := rpc.State(t.Context(), false); err != nil || !st.Running {
		t.Errorf("state: %+v, %v", st, err)
	}
}

func TestDelveJSONRPCClientBesideADAPClient(t *testing.T) {
	s := carryOut(t, delvePlan(t, true, true, goProgram(t, "goprog"), "100000", "0"))
	c := newDelveFrontEnd(t, s)
	c.attach(goprogSource(t), tickLine)
	expect[*dap.StoppedEvent](c)
	cmd := exec.Command(dlvPath(t), "connect", "unix:"+s.address, "--allow-non-terminal-interactive=true")
	cmd.Stdin = strings.NewReader("print i\nexit\nn\n")
	out, err := cmd.CombinedOutput()
	if !regexp.MustCompile(`(?m)^\(?d?l?v?\)? ?0$`).Match(out) {
		t.Errorf("dlv connect: %v\n%s", err, out)
	}
}

func TestDelveBuilds(t *testing.T) {
	dir := t.TempDir()
	source, err := os.ReadFile("testdata/goprog/main.go")
	must(t, "read", err)
	for name, data := range map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.25\n", "cmd/app/main.go": string(source), "lib/lib.go": "package lib\n",
		"cmd/bad/main.go": "package main\n\nfunc main() { undefined() }\n",
	} {
		p := filepath.Join(dir, name)
		must(t, "mkdir", os.MkdirAll(filepath.Dir(p), 0o755))
		must(t, "write", os.WriteFile(p, []byte(data), 0o644))
	}
	t.Run("a directory", func(t *testing.T) {
		s := carryOut(t, delvePlan(t, true, false, filepath.Join(dir, "cmd/app"), "2", "5", "a b", "c\nd", "é'\""))
		if got := <-s.watched(); got != (Exit{Code: 5}) {
			t.Errorf("exit %+v", got)
		}
		if want := "args 6 [a b c\nd é'\"]"; !strings.Contains(s.output(), want) {
			t.Errorf("output: %s", s.output())
		}
	})
	t.Run("a file", func(t *testing.T) {
		s := carryOut(t, delvePlan(t, true, false, filepath.Join(dir, "cmd/app/main.go"), "1", "0"))
		<-s.watched()
	})
	left, err := filepath.Glob(filepath.Join(dir, "cmd/*/*"))
	must(t, "glob", err)
	if len(left) != 2 {
		t.Errorf("beside the source: %q", left)
	}
	for name, want := range map[string]Code{"cmd/bad": Died, "lib": NotFound} {
		t.Run(name, func(t *testing.T) {
			plan := delvePlan(t, true, true, filepath.Join(dir, name))
			s := launchServer(t, plan)
			<-s.ended
			f, ok := failed(plan, s.output())
			if !ok || f.Code != want {
				t.Errorf("%+v; output:\n%s", f, s.output())
			}
		})
	}
}

// failed finds what a plan says of an output.
func failed(p Plan, output string) (Failure, bool) {
	for _, f := range p.Failures {
		if f.Match.MatchString(output) {
			return f, true
		}
	}
	return Failure{}, false
}

// The numbers say what a proxy may cost at most; the test only fails if steps do not work.
func TestDelveStepLatency(t *testing.T) {
	bin := goProgram(t, "goprog")
	for name, unix := range map[string]bool{"unix": true, "tcp": false} {
		s := carryOut(t, delvePlan(t, unix, true, bin, "100000", "0"))
		c := newDelveFrontEnd(t, s)
		c.attach(goprogSource(t), tickLine)
		stop := expect[*dap.StoppedEvent](c)
		var took []time.Duration
		for range 60 {
			begin := time.Now()
			stop = c.next(stop)
			c.look(stop, "i")
			took = append(took, time.Since(begin))
		}
		slices.Sort(took)
		t.Logf("%s: p50 %v, p90 %v", name, took[30], took[54])
	}
}
