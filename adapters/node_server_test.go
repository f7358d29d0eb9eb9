package adapters

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/tools"
)

func nodePlan(t *testing.T, wait bool, program ...string) Plan {
	t.Helper()
	return planned(t, NewNode(), Request{Program: program, Wait: wait, Interpreter: tools.Need(t, tools.Node)})
}

func nodeScriptFile(t *testing.T) string {
	t.Helper()
	p, err := filepath.Abs("testdata/node/ticker.js")
	must(t, "abs", err)
	return p
}

// inspect connects to the websocket that only the plan and the broker know.
func inspect(t *testing.T, s *server) expect.CDP {
	t.Helper()
	return expect.DialCDPAt(t, "ws://"+s.address+s.path)
}

func TestNodeFrontEndLeavesAndComesBack(t *testing.T) {
	s := launch(t, nodePlan(t, true, nodeScriptFile(t), "100000", "0"))
	for round := range 2 {
		c := inspect(t, s)
		c.Start()
		if round == 0 { // the first line
			c.WaitPaused()
		}
		must(t, "breakpoint", c.Call(t.Context(), "Debugger.setBreakpointByUrl", dict{"lineNumber": 3, "columnNumber": 40, "urlRegex": `.*ticker\.js`}, nil))
		if round == 0 {
			c.Resume()
		}
		p := c.WaitPaused()
		var value struct {
			Result struct{ Value any } `json:"result"`
		}
		must(t, "evaluate", c.Call(t.Context(), "Debugger.evaluateOnCallFrame", dict{"callFrameId": p.CallFrames[0].ID, "expression": "i"}, &value))
		if value.Result.Value == nil {
			t.Errorf("round %d: no value of i", round)
		}
		c.StepOver()
		c.Abort()
		s.afterLast()
		s.goesOn(ticks, 5)
	}
}

func TestNodeFrontEndNeverLetsItRun(t *testing.T) {
	s := launch(t, nodePlan(t, true, nodeScriptFile(t), "3", "3"))
	inspect(t, s).Abort()
	if s.count(ticks) != 0 {
		t.Error("the program does not wait")
	}
	s.afterLast()
	if got := s.exit(); s.count(ticks) != 3 || got != 3 {
		t.Errorf("exit %d; output:\n%s", got, s.output())
	}
	s.afterLast() // of an ended program
}

func TestNodeEndsWithAFrontEnd(t *testing.T) {
	s := launch(t, nodePlan(t, false, nodeScriptFile(t), "20", "4"))
	c := inspect(t, s)
	must(t, "enable", c.Call(t.Context(), "Runtime.enable", nil, nil))
	s.line("announcement of the end", s.plan.Ending.MatchString)
	// Without the closing handshake node itself may die of SIGSEGV here (20.20, one time in twelve).
	must(t, "close", c.Close())
	if got := s.exit(); got != 4 {
		t.Errorf("exit %d (%v); output:\n%s", got, s.cmd.ProcessState, s.output())
	}
}

func TestNodePort(t *testing.T) {
	for name, c := range map[string]struct {
		flag   string
		hidden bool
	}{"told": {"--inspect-publish-uid=stderr,http", false}, "hidden": {"--inspect-publish-uid=stderr", true}} {
		t.Run(name, func(t *testing.T) {
			given := Plan{
				Argv:  []string{tools.Need(t, tools.Node), "--inspect-brk=127.0.0.1:0", c.flag, nodeScriptFile(t), "2", "0"},
				Ready: Ready{Line: nodeReady}, Network: "tcp",
			}
			s := launch(t, given)
			port, err := strconv.Atoi(regexp.MustCompile(`\d+$`).FindString(s.address))
			must(t, "port", err)
			req := probed(t, NewNode(), Request{Mode: Port, Port: port, Host: here(t)}, "/bin/sh")
			plan, err := NewNode().Plan(req)
			must(t, "plan", err)
			started, err := plan.Started(t.Context(), s.dial)
			if c.hidden {
				var refused *Error
				if !errors.As(err, &refused) {
					t.Errorf("started: %v", err)
				}
				return
			}
			must(t, "started", err)
			if started.WSPath != s.path {
				t.Errorf("path %q, want %q", started.WSPath, s.path)
			}
			must(t, "after last", plan.AfterLast(t.Context(), s.dial))
			<-s.ended
		})
	}
}

func TestNodeFailures(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want Code
	}{
		"flag": {[]string{"--no-such-flag", "x.js"}, Usage}, "require": {[]string{"-r", "/nonexistent/x", "x.js"}, NotFound}, "throws": {[]string{"-e", "nope()"}, Died},
	} {
		t.Run(name, func(t *testing.T) {
			plan := nodePlan(t, false, c.args...)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			out, _ := exec.CommandContext(ctx, plan.Argv[0], plan.Argv[1:]...).CombinedOutput()
			if f, ok := failed(plan, string(out)); !ok || f.Code != c.want {
				t.Errorf("%+v; output:\n%s", f, out)
			}
		})
	}
}
