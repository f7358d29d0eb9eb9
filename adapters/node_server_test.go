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

	"github.com/debugbroker/debugbroker/adapters/cdp"
)

func nodePlan(t *testing.T, wait bool, program ...string) Plan {
	t.Helper()
	needTool(t, "node")
	req := probed(t, NewNode(), Request{Mode: Launch, Program: program, Wait: wait, Host: here(t), Workspace: shortDir(t)}, "/bin/sh")
	plan, err := NewNode().Plan(req)
	must(t, "plan", err)
	return plan
}

func nodeScriptFile(t *testing.T) string {
	t.Helper()
	p, err := filepath.Abs("testdata/node/ticker.js")
	must(t, "abs", err)
	return p
}

// carryOutNode tells the plan what was announced, as the broker does.
func carryOutNode(t *testing.T, plan Plan) *server {
	t.Helper()
	s := carryOut(t, plan)
	plan.Announced(s.address, s.path)
	return s
}

func inspect(t *testing.T, s *server) *cdp.Client {
	t.Helper()
	conn, err := s.dial(t.Context())
	must(t, "dial", err)
	c, err := cdp.New(t.Context(), conn, s.path)
	must(t, "websocket", err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestNodeFrontEndLeavesAndComesBack(t *testing.T) {
	s := carryOutNode(t, nodePlan(t, true, nodeScriptFile(t), "100000", "0"))
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	type paused struct {
		Reason     string `json:"reason"`
		CallFrames []struct {
			ID       string `json:"callFrameId"`
			Location struct {
				Line int `json:"lineNumber"`
			} `json:"location"`
		} `json:"callFrames"`
	}
	for round := range 2 {
		c := inspect(t, s)
		must(t, "enable", c.Call(ctx, "Debugger.enable", nil, nil))
		must(t, "breakpoint", c.Call(ctx, "Debugger.setBreakpointByUrl", map[string]any{"lineNumber": 3, "columnNumber": 40, "urlRegex": `.*ticker\.js`}, nil))
		must(t, "run", c.Call(ctx, "Runtime.runIfWaitingForDebugger", nil, nil))
		var p paused
		must(t, "pause", c.Await(ctx, "Debugger.paused", &p))
		if round == 0 { // the first line
			must(t, "resume", c.Call(ctx, "Debugger.resume", nil, nil))
			must(t, "pause", c.Await(ctx, "Debugger.paused", &p))
		}
		var value struct {
			Result struct{ Value any } `json:"result"`
		}
		must(t, "evaluate", c.Call(ctx, "Debugger.evaluateOnCallFrame", map[string]any{"callFrameId": p.CallFrames[0].ID, "expression": "i"}, &value))
		if value.Result.Value == nil {
			t.Errorf("round %d: no value of i", round)
		}
		must(t, "step", c.Call(ctx, "Debugger.stepOver", nil, nil))
		must(t, "pause", c.Await(ctx, "Debugger.paused", &p))
		_ = c.Close()
		must(t, "after last", s.plan.AfterLast(ctx, s.dial))
		s.goesOn(ticks, 5)
	}
}

func TestNodeFrontEndNeverLetsItRun(t *testing.T) {
	s := carryOutNode(t, nodePlan(t, true, nodeScriptFile(t), "3", "3"))
	c := inspect(t, s)
	_ = c.Close()
	if s.count(ticks) != 0 {
		t.Error("the program does not wait")
	}
	must(t, "after last", s.plan.AfterLast(t.Context(), s.dial))
	<-s.ended
	if s.count(ticks) != 3 || s.cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("exit %v; output:\n%s", s.cmd.ProcessState, s.output())
	}
	must(t, "after last, of an ended program", s.plan.AfterLast(t.Context(), s.dial))
}

func TestNodeEndsWithAFrontEnd(t *testing.T) {
	s := carryOutNode(t, nodePlan(t, false, nodeScriptFile(t), "20", "4"))
	c := inspect(t, s)
	must(t, "enable", c.Call(t.Context(), "Runtime.enable", nil, nil))
	if _, ok := s.await(s.plan.Ending.MatchString); !ok {
		t.Fatalf("the end is not announced; output:\n%s", s.output())
	}
	_ = c.Close()
	<-s.ended
	if got := s.cmd.ProcessState.ExitCode(); got != 4 {
		t.Errorf("exit %d", got)
	}
}

func TestNodePort(t *testing.T) {
	for name, c := range map[string]struct {
		flag   string
		hidden bool
	}{"told": {"--inspect-publish-uid=stderr,http", false}, "hidden": {"--inspect-publish-uid=stderr", true}} {
		t.Run(name, func(t *testing.T) {
			given := Plan{
				Argv:  []string{needTool(t, "node"), "--inspect-brk=127.0.0.1:0", c.flag, nodeScriptFile(t), "2", "0"},
				Ready: Ready{Line: nodeReady}, Network: "tcp",
			}
			s := carryOut(t, given)
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

func TestPortNobodyListens(t *testing.T) {
	for _, a := range []Adapter{NewDelve(), NewNode(), NewJDWP()} {
		req := probed(t, a, Request{Mode: Port, Port: 1, Host: here(t)}, "/bin/sh")
		var refused *Error
		if _, err := a.Plan(req); !errors.As(err, &refused) || refused.Code != NotFound {
			t.Errorf("%s: %v", a.Name(), err)
		}
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
