package adapters

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/tools"
)

func goTarget(s *server) Running {
	r := s.target()
	r.Marks = []string{"go"} // as the process table tells it
	return r
}

// The program runs at once, whoever comes; a front end stops it, steps, and leaves or drops; the session ends while it is halted: it runs
// on, and can be attached to again.
func TestDelveAttach(t *testing.T) {
	for name, unix := range map[string]bool{"unix": true, "tcp": false} {
		t.Run(name, func(t *testing.T) {
			program := runs(t, "/", nil, goProgram(t), "100000", "0")
			program.line("first tick", ticks.MatchString)
			host := here(t)
			host.StreamLocal = unix
			for _, way := range []string{"leaves", "drops", "stays", "signalled"} {
				s := attachTo(t, NewDelve(), Request{Target: goTarget(program), Interpreter: tools.NeedDlv(t), Host: host})
				if s.started.Version == "" || !s.plan.NeverTerminate || !s.plan.Spare {
					t.Fatalf("started %+v, plan:\n%s", s.started, render(s.plan))
				}
				program.goesOn(ticks, 5)
				exit := s.watched()
				must(t, "before first", s.plan.BeforeFirst(t.Context(), s.dial))
				c := s.attached(goprogSource(t), tickLine)
				before := c.stopped()
				if after := c.next(before); after.reason != "step" || after.locals["i"] == "" {
					t.Fatalf("%s: %+v, then %+v", way, before, after)
				}
				switch way {
				case "leaves":
					c.Disconnect(false)
					s.afterLast()
				case "drops":
					c.Close()
					s.afterLast()
				case "signalled": // as a lifeline does
					must(t, "signal", s.cmd.Process.Signal(syscall.SIGTERM))
				}
				if way != "stays" && way != "signalled" {
					program.goesOn(ticks, 5)
				}
				if way != "signalled" {
					must(t, "stop", s.plan.Stop(t.Context(), s.dial))
				}
				select {
				case <-s.ended:
				case <-time.After(limit):
					t.Fatalf("%s: Delve does not end", way)
				}
				<-exit
				program.goesOn(ticks, 5)
			}
		})
	}
}

// Delve tells how a program that it has attached to ends.
func TestDelveAttachWatches(t *testing.T) {
	program := runs(t, "/", nil, goProgram(t), "400", "7")
	program.line("first tick", ticks.MatchString)
	s := attachTo(t, NewDelve(), Request{Target: goTarget(program), Interpreter: tools.NeedDlv(t), Host: here(t)})
	if e := <-s.watched(); e.Code != 7 {
		t.Errorf("exit %+v, want status 7", e)
	}
}

func TestDelveAttachRefusals(t *testing.T) {
	program := runs(t, "/", nil, goProgram(t), "100000", "0")
	program.line("first tick", ticks.MatchString)
	target := goTarget(program)
	facts := func(words ...string) map[string]string {
		return map[string]string{delveProbe: "\x00" + strings.Join(words, "\x00\x00") + "\x00"}
	}
	linux := Host{OS: "linux", StreamLocal: true}
	for name, c := range map[string]struct {
		req  Request
		code Code
		says string
	}{
		"not Go":            {Request{Target: Running{PID: 7, Argv: []string{"nginx"}}, Host: linux}, Foreign, "process 7 is no Go program"},
		"a debug server":    {Request{Target: Running{PID: 7, Argv: []string{"dlv", "attach", "8"}, Marks: []string{"go"}}, Host: linux}, Foreign, "no Go program"},
		"another system":    {Request{Target: target, Host: Host{OS: "darwin"}}, Foreign, "Linux only"},
		"gone":              {Request{Target: target, Host: linux, Facts: facts("gone=1")}, NotFound, "has ended"},
		"yama":              {Request{Target: target, Host: linux, Facts: facts("ptrace_scope=1", "capabilities=0000000000000000")}, Denied, "kernel.yama.ptrace_scope is 1"},
		"yama, for ever":    {Request{Target: target, Host: linux, Facts: facts("ptrace_scope=3")}, Denied, "forbids all tracing"},
		"undumpable":        {Request{Target: Running{PID: 7, UID: 1000, Argv: []string{"x"}, Marks: []string{"go"}}, Host: linux, Facts: facts("ptrace_scope=0", "undumpable=1", "capabilities=0")}, Denied, "only root may"},
		"root without caps": {Request{Target: Running{PID: 7, Argv: []string{"x"}, Marks: []string{"go"}}, Host: linux, Facts: facts("capabilities=0")}, Denied, "not even as root"},
		"no Delve":          {Request{Target: target, Host: linux, Facts: facts("traceable=1")}, Missing, "dlv is not installed"},
		"root over TCP":     {Request{Target: target, Sudo: true, Host: Host{OS: "linux"}, Facts: facts("traceable=1", "dlv=/bin/dlv")}, Denied, "only be reached over a unix socket"},
	} {
		t.Run(name, func(t *testing.T) {
			c.req.Mode = Attach
			_, err := NewDelve().Plan(c.req)
			var e *Error
			if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Message, c.says) || e.Hint == "" {
				t.Errorf("%#v, want code %s and %q", err, c.code, c.says)
			}
		})
	}
	t.Run("another process of its pid", func(t *testing.T) {
		other := target
		other.Start += "0"
		plan, err := planAttach(t, NewDelve(), Request{Target: other, Interpreter: tools.NeedDlv(t), Host: here(t)})
		must(t, "plan", err)
		s := start(t, plan)
		if got := s.exit(); got != 1 {
			t.Errorf("exit %d", got)
		}
		if f, ok := failed(plan, s.output()); !ok || f.Code != NotFound || strings.Contains(s.output(), "API server") {
			t.Errorf("output:\n%s", s.output())
		}
		program.goesOn(ticks, 3)
	})
	for _, shell := range shells(t) {
		req := probed(t, NewDelve(), Request{Mode: Attach, Target: target, Interpreter: tools.NeedDlv(t), Host: here(t)}, shell)
		if f := parseFacts(req.Facts[delveProbe]); f.first("traceable") != "1" || f.first("dlv") == "" || f.first("gone") != "" {
			t.Errorf("%s: %q", shell, f)
		}
		gone := target
		gone.PID = 1 << 22
		req = probed(t, NewDelve(), Request{Mode: Attach, Target: gone, Host: here(t)}, shell)
		if f := parseFacts(req.Facts[delveProbe]); f.first("traceable") != "" || f.first("gone") != "1" {
			t.Errorf("%s, a process that is not there: %q", shell, f)
		}
	}
}

func TestDelveRecognises(t *testing.T) {
	for name, c := range map[string]struct {
		r    Running
		want Found
		ok   bool
	}{
		"a program":    {Running{Argv: []string{"./shop", "attach"}, Marks: []string{"go"}}, Found{FromOutside: true}, true},
		"not Go":       {Running{Argv: []string{"dlv", "attach", "7"}}, Found{}, false},
		"headless":     {Running{Argv: []string{"/go/bin/dlv", "exec", "--headless", "./shop"}, Marks: []string{"go"}, Listening: []string{"10.0.0.1:80", "127.0.0.1:4000"}}, Found{Server: true, Listening: "127.0.0.1:4000"}, true},
		"in a console": {Running{Argv: []string{"dlv", "debug"}, Marks: []string{"go"}, Listening: []string{"127.0.0.1:4000"}}, Found{Server: true}, true},
		"dlv's help":   {Running{Argv: []string{"dlv", "help"}, Marks: []string{"go"}}, Found{FromOutside: true}, true},
	} {
		if got, ok := NewDelve().Recognise(c.r); ok != c.ok || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}
