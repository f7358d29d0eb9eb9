package frontend_test

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/frontend"
	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/tools"
)

func TestDAPAgainstDebugpy(t *testing.T) {
	python := tools.Need(t, tools.Python)
	path := programs.Path(t, "python/ticker.py")
	line := programs.BreakLine(t, path)
	_, addr := startDebugpy(t, python, path)

	d := expect.DialDAP(t, addr)
	d.Begin(map[string]any{"justMyCode": true}, path, line)
	stop := d.WaitStopped("breakpoint")
	frame, locals := d.Locals(stop.ThreadId)
	if frame.Line != line || frame.Name != "tick" || locals["square"] != "1" {
		t.Errorf("stopped in %s, line %d, with %v", frame.Name, frame.Line, locals)
	}
	d.Next(stop.ThreadId)
	if frame, locals = d.Locals(stop.ThreadId); frame.Line != line+1 || locals["label"] != "'tick 1'" {
		t.Errorf("after a step: line %d, with %v", frame.Line, locals)
	}
	d.Disconnect(false)

	// The front end comes back, and the program still counts.
	d = expect.DialDAP(t, addr)
	d.Begin(nil, path, line)
	stop = d.WaitStopped("breakpoint")
	if _, locals = d.Locals(stop.ThreadId); locals["count"] == "1" {
		t.Errorf("came back to %v", locals)
	}
	d.Disconnect(true)
}

func TestDAPAndDlvAgainstDelve(t *testing.T) {
	dlv := tools.NeedDlv(t)
	path := programs.Path(t, "go/ticker/main.go")
	line := programs.BreakLine(t, path)
	s := start(t, nil, dlv, "exec", "--headless", "--accept-multiclient", "--listen=127.0.0.1:0", programs.BuildGo(t, "ticker"))
	addr := s.wait(`API server listening at: (\S+)`)

	d := expect.DialDAP(t, addr)
	d.Begin(map[string]any{"mode": "remote"}, path, line)
	stop := d.WaitStopped("breakpoint")
	frame, locals := d.Locals(stop.ThreadId)
	if frame.Line != line || frame.Name != "main.tick" || locals["square"] != "1" {
		t.Errorf("stopped in %s, line %d, with %v", frame.Name, frame.Line, locals)
	}
	d.Next(stop.ThreadId)
	if frame, locals = d.Locals(stop.ThreadId); frame.Line != line+1 || locals["label"] != `"tick 1"` {
		t.Errorf("after a step: line %d, with %v", frame.Line, locals)
	}
	d.Disconnect(false)

	c := expect.StartDlv(t, dlv, addr)
	c.Ask("clearall", `\(dlv\) `)
	c.Ask("break main.go:"+strconv.Itoa(line), `Breakpoint \d+ set at [^\n]*\n`)
	c.Ask("continue", `> .*main\.tick\(\)[^\n]*\n`)
	c.Ask("print square", `(?m)^(\(dlv\) )*\d+$`)
	c.Ask("next", `=> *`+strconv.Itoa(line+1)+`:`)
	c.Ask("clearall", `\(dlv\) `)
	c.Quit("exit -c")
}

func TestCDPAgainstNode(t *testing.T) {
	node := tools.Need(t, tools.Node)
	path := programs.Path(t, "node/ticker.js")
	line := programs.BreakLine(t, path)
	s := start(t, nil, node, "--inspect-brk=127.0.0.1:0", path)
	addr := s.wait(`Debugger listening on ws://([^/]+)/`)

	c := expect.DialCDP(t, addr)
	c.Start()
	if p := c.WaitPaused(); p.Reason != "Break on start" {
		t.Errorf("first pause: %q", p.Reason)
	}
	c.SetBreakpoint("file://"+path, line)
	c.Resume()
	p := c.WaitPaused()
	if f := p.CallFrames[0]; f.FunctionName != "tick" || f.Location.Line != line-1 || c.Locals(f)["square"] != "1" {
		t.Errorf("paused in %s, line %d, with %v", f.FunctionName, f.Location.Line+1, c.Locals(f))
	}
	p = c.StepOver()
	if f := p.CallFrames[0]; f.Location.Line != line || c.Locals(f)["label"] != `"tick 1"` {
		t.Errorf("after a step: line %d, with %v", f.Location.Line+1, c.Locals(f))
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	s.wait(`^tick 3$`) // a paused program goes on when its front end leaves
}

func TestJdbAgainstAJVM(t *testing.T) {
	jdk := tools.Need(t, tools.Java)
	path := programs.Path(t, "java/Ticker.java")
	line := programs.BreakLine(t, path)
	s := start(t, nil, jdk.Java, "-agentlib:jdwp=transport=dt_socket,server=y,suspend=y,address=127.0.0.1:0",
		"-cp", programs.BuildJava(t, jdk), "Ticker")
	addr := "127.0.0.1:" + s.wait(`Listening for transport dt_socket at address: (?:.*:)?(\d+)`)

	c := expect.StartJdb(t, jdk.Jdb, addr, filepath.Dir(path))
	c.AwaitSuspended()
	c.Ask("stop at Ticker:"+strconv.Itoa(line), `Set (deferred )?breakpoint|Deferring breakpoint`)
	c.Ask("run", `Breakpoint hit: [^\n]*Ticker\.tick\(\), line=`+strconv.Itoa(line))
	c.Ask("print square", `square = 1`)
	c.Ask("next", `Step completed: [^\n]*line=`+strconv.Itoa(line+1))
	if out := c.Ask("locals", `label = "tick \d+"`); !strings.Contains(out, "count") {
		t.Errorf("locals: %s", out)
	}
	c.Ask("clear Ticker:"+strconv.Itoa(line), `Removed`)
	c.Quit("quit")
	s.wait(`^tick 3$`)
}

// A front end must never outlive its patience: that is what keeps a broken broker from hanging the tests.
func TestWaitsEndWithTheirContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	d, err := frontend.DialDAP(ctx, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Initialize(ctx); err == nil || ctx.Err() == nil {
		t.Errorf("Initialize returned %v before its context ended", err)
	}
}
