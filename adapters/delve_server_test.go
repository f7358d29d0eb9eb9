package adapters

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
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
				c := newDAPClient(t, s)
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
			t.Logf("%s", s.output())
		})
	}
}

func TestDelveKilledWhileHalted(t *testing.T) {
	s := carryOut(t, delvePlan(t, true, true, goProgram(t, "goprog"), "100000", "0"))
	exit := s.watched()
	must(t, "kill", syscall.Kill(s.started.PID, syscall.SIGKILL))
	select {
	case got := <-exit:
		t.Logf("exit %+v", got)
	case <-time.After(5 * time.Second):
		t.Logf("not seen")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	t.Logf("after last: %v", s.plan.AfterLast(ctx, s.dial))
	select {
	case got := <-exit:
		t.Logf("exit %+v", got)
	case <-time.After(5 * time.Second):
		t.Logf("not seen")
	}
	t.Log(s.output())
}

func TestDelveTwoDAPClients(t *testing.T) {
	s := carryOut(t, delvePlan(t, true, true, goProgram(t, "goprog"), "100000", "0"))
	a := newDAPClient(t, s)
	a.attach(goprogSource(t), 0)
	s.goesOn(ticks, 2)
	b := newDAPClient(t, s)
	b.send(&dap.InitializeRequest{Request: b.request("initialize"), Arguments: dap.InitializeRequestArguments{AdapterID: "go", PathFormat: "path", LinesStartAt1: true, ColumnsStartAt1: true}})
	expect[*dap.InitializeResponse](b)
	b.send(&dap.AttachRequest{Request: b.request("attach"), Arguments: []byte(`{"mode":"remote"}`)})
	for i := 0; i < 3; i++ {
		m, err := b.within(time.Second)
		t.Logf("b: %T %v", m, err)
	}
	b.send(&dap.SetBreakpointsRequest{Request: b.request("setBreakpoints"), Arguments: dap.SetBreakpointsArguments{
		Source: dap.Source{Path: goprogSource(t)}, Breakpoints: []dap.SourceBreakpoint{{Line: tickLine}},
	}})
	m, err := b.within(time.Second)
	t.Logf("b: %T %v", m, err)
	b.send(&dap.ConfigurationDoneRequest{Request: b.request("configurationDone")})
	for i := 0; i < 3; i++ {
		m, err := b.within(time.Second)
		t.Logf("b: %T %+v %v", m, m, err)
	}
	m, err = a.within(time.Second)
	t.Logf("a: %T %+v %v", m, m, err)
	c, err := s.dial(t.Context())
	must(t, "dial", err)
	rpc := dlvrpc.New(c)
	defer rpc.Close()
	st, err := rpc.State(t.Context(), false)
	t.Logf("rpc: %+v %v", st, err)
}
