package adapters

import (
	"context"
	"errors"
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
	"github.com/debugbroker/debugbroker/integration/tools"
)

var ticks = regexp.MustCompile(`^tick \d+`)

// delvePlan plans a launch on this machine.
func delvePlan(t testing.TB, unix bool, wait bool, program ...string) Plan {
	t.Helper()
	host := here(t)
	host.StreamLocal = unix
	return planned(t, NewDelve(), Request{Program: program, Interpreter: tools.NeedDlv(t), Wait: wait, Host: host})
}

// goProgram builds the program of testdata for a debugger.
func goProgram(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "goprog")
	out, err := exec.Command("go", "build", "-gcflags=all=-N -l", "-o", bin, "./testdata/goprog").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

func goprogSource(t testing.TB) string {
	t.Helper()
	p, err := filepath.Abs("testdata/goprog/main.go")
	must(t, "abs", err)
	return p
}

const tickLine = 31

func TestDelveFrontEndLeavesAndComesBack(t *testing.T) {
	for name, unix := range map[string]bool{"unix": true, "tcp": false} {
		t.Run(name, func(t *testing.T) {
			s := launch(t, delvePlan(t, unix, true, goProgram(t), "100000", "0"))
			if s.started.PID == 0 || s.started.Version == "" {
				t.Errorf("started: %+v", s.started)
			}
			exit := s.watched()
			for round := range 3 {
				must(t, "before first", s.plan.BeforeFirst(t.Context(), s.dial))
				c := s.attached(goprogSource(t), tickLine)
				before := c.stopped()
				if after := c.next(before); after.reason != "step" || before.locals["i"] == "" {
					t.Fatalf("round %d: %+v, then %+v", round, before, after)
				}
				if round == 1 { // an IDE that crashes
					c.Close()
				} else {
					c.Disconnect(false)
				}
				s.afterLast()
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
	bin := goProgram(t)
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
			s := launch(t, delvePlan(t, true, false, bin, turns, c.how))
			exit := s.watched()
			s.goesOn(ticks, 3)
			if c.kill != 0 {
				must(t, "kill", syscall.Kill(s.started.PID, c.kill))
			}
			if got, ok := <-exit; !ok || got != c.want {
				t.Errorf("exit %+v, want %+v; output:\n%s", got, c.want, s.output())
			}
			s.afterLast() // of an ended program
		})
	}
}

// A halted program that is killed from outside is seen by Delve when it is touched next, not before.
func TestDelveKilledWhileHalted(t *testing.T) {
	s := launch(t, delvePlan(t, true, true, goProgram(t), "100000", "0"))
	exit := s.watched()
	must(t, "kill", syscall.Kill(s.started.PID, syscall.SIGKILL))
	s.afterLast()
	if got, ok := <-exit; !ok || got != (Exit{Signal: "KILL"}) {
		t.Errorf("exit %+v, %v", got, ok)
	}
}

// An IDE that crashes while the program runs: Delve's session of it resumes a halt until it notices that it is alone.
func TestDelveAfterLastRacesWithTheDisconnect(t *testing.T) {
	s := launch(t, delvePlan(t, true, true, goProgram(t), "100000", "0"))
	s.watched()
	var longest time.Duration
	for range 50 {
		must(t, "before first", s.plan.BeforeFirst(t.Context(), s.dial))
		c := s.attached(goprogSource(t))
		begin := time.Now()
		c.Close()
		must(t, "after last", s.plan.AfterLast(t.Context(), s.dial))
		longest = max(longest, time.Since(begin))
	}
	s.goesOn(ticks, 2)
	t.Logf("longest %v", longest)
}

// Why OneClient is set: a second DAP client's attach is not answered while the first lets the program run.
func TestDelveSecondDAPClient(t *testing.T) {
	s := launch(t, delvePlan(t, true, true, goProgram(t), "100000", "0"))
	s.attached(goprogSource(t))
	s.goesOn(ticks, 2)
	second := s.front()
	second.Initialize()
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	if err := second.DAP.DAP.Attach(ctx, attachArguments(nil)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second client's attach is answered by now (%v): OneClient may go", err)
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
	s := launch(t, delvePlan(t, true, true, goProgram(t), "100000", "0"))
	s.attached(goprogSource(t), tickLine).stopped()
	cmd := exec.Command(tools.NeedDlv(t), "connect", "unix:"+s.address, "--allow-non-terminal-interactive=true")
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
		s := launch(t, delvePlan(t, true, false, filepath.Join(dir, "cmd/app"), "2", "5", "a b", "c\nd", "é'\""))
		if got := <-s.watched(); got != (Exit{Code: 5}) {
			t.Errorf("exit %+v", got)
		}
		if want := "args 6 [a b c\nd é'\"]"; !strings.Contains(s.output(), want) {
			t.Errorf("output: %s", s.output())
		}
	})
	t.Run("a file", func(t *testing.T) {
		s := launch(t, delvePlan(t, true, false, filepath.Join(dir, "cmd/app/main.go"), "1", "0"))
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
			s := start(t, plan)
			<-s.ended
			f, ok := failed(plan, s.output())
			if !ok || f.Code != want {
				t.Errorf("%+v; output:\n%s", f, s.output())
			}
		})
	}
}

// The numbers say what a proxy may cost at most; the test only fails if steps do not work.
func TestDelveStepLatency(t *testing.T) {
	bin := goProgram(t)
	for name, unix := range map[string]bool{"unix": true, "tcp": false} {
		s := launch(t, delvePlan(t, unix, true, bin, "100000", "0"))
		c := s.attached(goprogSource(t), tickLine)
		at := c.stopped()
		var took []time.Duration
		for range 60 {
			begin := time.Now()
			at = c.next(at)
			took = append(took, time.Since(begin))
		}
		slices.Sort(took)
		t.Logf("%s: p50 %v, p90 %v", name, took[30], took[54])
	}
}
