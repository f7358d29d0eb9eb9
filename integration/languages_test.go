package integration_test

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// world is a broker, the real sshd that it reaches, and what must be gone when the test is over.
type world struct {
	*brokertest.Broker
	sshd *sshd.Server
}

// newWorld starts an sshd and a broker, and demands at the test's end that nothing is left of all that the test opened.
func newWorld(t *testing.T, o sshd.Options) world {
	t.Helper()
	s := sshd.New(t, o)
	b := brokertest.New(t, brokertest.Options{Server: s})
	left := b.Leftovers()
	t.Cleanup(func() {
		if !t.Failed() {
			left.Check()
		}
	})
	return world{b, s}
}

// pythonAttach attaches as editors do to `debugpy --listen`.
func pythonAttach() map[string]any { return map[string]any{"justMyCode": false} }

// delveAttach attaches as editors do to a remote Delve.
func delveAttach() map[string]any { return map[string]any{"mode": "remote"} }

// awaitOutput waits until the session's program has printed a line with the word, after the lines that it had printed before.
func awaitOutput(t *testing.T, b *brokertest.Broker, id string, after int, word string) (lines int) {
	t.Helper()
	client := api.NewClient(b.Socket())
	defer client.Close()
	n := 0
	for l, err := range client.Logs(t.Context(), id, true) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n > after && strings.Contains(l.Text, word) {
			return n
		}
	}
	t.Fatalf("the session ended before its program printed %q", word)
	return 0
}

// outputSoFar is how many lines there are.
func outputSoFar(t *testing.T, b *brokertest.Broker, id string) int {
	t.Helper()
	return len(brokertest.Lines[api.LogLine](b, "logs", id))
}

// stopsAndSteps waits for the ticker's first stop at line, in a function of that name, and steps over it. label is how the debugger
// writes the string that the line has made.
func stopsAndSteps(t *testing.T, d expect.DAP, line int, function, label string) {
	t.Helper()
	stop := d.WaitStopped("breakpoint")
	if frame, locals := d.Locals(stop.ThreadId); frame.Name != function || locals["square"] != "1" {
		t.Fatalf("stopped in %s with %v", frame.Name, locals)
	}
	stop = d.Next(stop.ThreadId)
	if frame, locals := d.Locals(stop.ThreadId); frame.Line != line+1 || locals["label"] != label {
		t.Fatalf("after the step: line %d with %v", frame.Line, locals)
	}
}

// leaves ends a visit in its own way, and demands that the program runs on.
func (w world) leaves(t *testing.T, id string, how func()) {
	t.Helper()
	before := outputSoFar(t, w.Broker, id)
	how()
	awaitOutput(t, w.Broker, id, before+3, "tick")
}

func TestPython(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	w := newWorld(t, sshd.Options{})
	path := programs.Path(t, "python/ticker.py")
	line := programs.BreakLine(t, path)
	s := w.Open("box:python", "--interpreter", python, "--", path)
	if s.Protocol != "dap" || s.Lang != "python" || s.Host != "box" || s.Mode != "launch" || s.PID == nil || !strings.HasPrefix(s.Server, "debugpy ") {
		t.Errorf("session: %+v", s)
	}
	for _, warning := range s.Warnings {
		if strings.Contains(warning, "stock") {
			t.Errorf("debugpy is not started the fast way: %s", warning)
		}
	}
	d := expect.DialDAP(t, s.Local)
	d.Begin(pythonAttach(), path, line)
	w.Await(s.ID, "a front end is there", func(v api.Session) bool { return v.Phase == api.PhaseAttached && v.Clients == 1 })
	stopsAndSteps(t, d, line, "tick", "'tick 1'")

	// A further front end is refused, with words that it can show.
	second := expect.DialDAP(t, s.Local)
	if _, err := second.DAP.Initialize(t.Context()); err == nil {
		t.Error("a second front end was let in")
	} else if !strings.Contains(err.Error(), "another front end") {
		t.Errorf("the refusal does not say why: %v", err)
	}

	// It leaves while the program stands at a breakpoint: the program runs on.
	w.leaves(t, s.ID, func() { d.Disconnect(false) })

	// And comes back on the same port.
	d = expect.DialDAP(t, s.Local)
	d.Begin(pythonAttach(), path, line)
	stop := d.WaitStopped("breakpoint")
	if frame, _ := d.Locals(stop.ThreadId); frame.Line != line {
		t.Errorf("second visit: stopped in line %d", frame.Line)
	}
	// This time it crashes: no word of leave.
	w.leaves(t, s.ID, func() { d.Close() })
	w.Close(s.ID)
}

// TestPythonSubprocesses follows multiprocessing's children, each of which wants a connection of its own to the same local port.
func TestPythonSubprocesses(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	w := newWorld(t, sshd.Options{})
	path := programs.Path(t, "python/children.py")
	line := programs.BreakLine(t, path)
	s := w.Open("box:python", "--interpreter", python, "--", path)
	d := expect.DialDAP(t, s.Local)
	d.Begin(pythonAttach(), path, line)
	// Three announce themselves: the two children, and multiprocessing's resource tracker, which never gets to the breakpoint.
	var stops atomic.Int32
	var waiting sync.WaitGroup
	for range 3 {
		var child map[string]any
		d.WaitEvent("debugpyAttach", &child)
		connect, _ := child["connect"].(map[string]any)
		host, _ := connect["host"].(string)
		port, _ := connect["port"].(float64)
		if addr := net.JoinHostPort(host, strconv.Itoa(int(port))); addr != s.Local {
			t.Fatalf("the child is to be attached to at %s, the local port is %s", addr, s.Local)
		}
		c := expect.DialDAP(t, s.Local)
		c.Begin(child, path, line)
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), expect.Limit)
			defer cancel()
			stop, err := c.DAP.WaitStopped(ctx)
			if err != nil {
				return // the tracker's connection just ends
			}
			frame, locals, err := c.DAP.Locals(ctx, stop.ThreadId)
			if err != nil || frame.Name != "child" || locals["doubled"] == "" {
				t.Errorf("child stopped in %s with %v: %v", frame.Name, locals, err)
			}
			stops.Add(1)
			if err := c.DAP.Continue(ctx, stop.ThreadId); err != nil {
				t.Errorf("continue a child: %v", err)
			}
		})
	}
	d.WaitEvent("terminated", nil)
	waiting.Wait()
	if n := stops.Load(); n != 2 {
		t.Errorf("%d children stopped at the breakpoint, want 2", n)
	}
	v := w.Await(s.ID, "the program has ended", func(v api.Session) bool { return v.Phase.Ended() })
	if v.Exit == nil || v.Exit.Code == nil || *v.Exit.Code != 0 {
		t.Errorf("exit: %+v", v.Exit)
	}
}

func TestGo(t *testing.T) {
	t.Parallel()
	dlv := tools.NeedDlv(t)
	w := newWorld(t, sshd.Options{})
	path := programs.Path(t, "go/ticker/main.go")
	line := programs.BreakLine(t, path)
	s := w.Open("box:go", "--interpreter", dlv, "--", programs.BuildGo(t, "ticker"))
	if !strings.HasPrefix(s.Remote, "unix:") || !strings.HasPrefix(s.Server, "Delve ") || s.PID == nil {
		t.Errorf("session: %+v", s)
	}
	d := expect.DialDAP(t, s.Local)
	d.Begin(delveAttach(), path, line)
	stopsAndSteps(t, d, line, "main.tick", `"tick 1"`)
	// Delve's own client is served on the same port at the same time.
	c := expect.StartDlv(t, dlv, s.Local)
	c.Ask("print label", `"tick 1"`)
	c.Ask("breakpoints", `main\.go:`+strconv.Itoa(line))
	w.leaves(t, s.ID, func() { d.Disconnect(false); c.Kill() })

	c = expect.StartDlv(t, dlv, s.Local)
	c.Ask("break main.go:"+strconv.Itoa(line), `Breakpoint \d+ set|Command failed: `)
	c.Ask("continue", `> .*main\.tick\(\)`)
	c.Ask("print square", `\d+`)
	c.Ask("next", `main\.tick\(\)`)
	w.leaves(t, s.ID, c.Kill) // a crash
	w.Close(s.ID)
}

// TestGoBuild builds a directory on the remote, and leaves nothing beside the source.
func TestGoBuild(t *testing.T) {
	t.Parallel()
	dlv := tools.NeedDlv(t)
	w := newWorld(t, sshd.Options{})
	dir := programs.Path(t, "go/ticker")
	s := w.Open("box:go", "--interpreter", dlv, "--cwd", dir, "--no-wait", "--", ".", "40", "7")
	v := w.Await(s.ID, "the program has ended", func(v api.Session) bool { return v.Phase.Ended() })
	if v.Phase != api.PhaseClosed || v.Exit == nil || v.Exit.Code == nil || *v.Exit.Code != 7 {
		t.Errorf("phase %s, exit %+v, error %+v", v.Phase, v.Exit, v.Error)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "__debug*")); len(found) > 0 {
		t.Errorf("left beside the source: %q", found)
	}
}

func TestNode(t *testing.T) {
	t.Parallel()
	node := tools.Need(t, tools.Node)
	w := newWorld(t, sshd.Options{})
	path := programs.Path(t, "node/ticker.js")
	line := programs.BreakLine(t, path)
	s := w.Open("box:node", "--interpreter", node, "--", path)
	if s.Protocol != "cdp" || s.PID == nil {
		t.Errorf("session: %+v", s)
	}
	c := expect.DialCDP(t, s.Local)
	c.Start()
	c.WaitPaused() // --inspect-brk: before its first line
	c.SetBreakpoint("file://"+path, line)
	c.Resume()
	pause := c.WaitPaused()
	if locals := c.Locals(pause.CallFrames[0]); pause.CallFrames[0].FunctionName != "tick" || locals["square"] != "1" {
		t.Fatalf("paused in %s with %v", pause.CallFrames[0].FunctionName, locals)
	}
	pause = c.StepOver()
	if locals := c.Locals(pause.CallFrames[0]); locals["label"] != `tick 1` && locals["label"] != `"tick 1"` {
		t.Fatalf("after the step: %v", locals)
	}
	w.leaves(t, s.ID, c.Abort)

	c = expect.DialCDP(t, s.Local)
	c.Start()
	c.SetBreakpoint("file://"+path, line)
	if pause = c.WaitPaused(); pause.CallFrames[0].FunctionName != "tick" {
		t.Errorf("second visit: paused in %s", pause.CallFrames[0].FunctionName)
	}
	w.leaves(t, s.ID, func() { c.CDP.Close() })
	w.Close(s.ID)
}

func TestJava(t *testing.T) {
	t.Parallel()
	jdk := tools.Need(t, tools.Java)
	w := newWorld(t, sshd.Options{})
	path := programs.Path(t, "java/Ticker.java")
	line := programs.BreakLine(t, path)
	s := w.Open("box:java", "--interpreter", jdk.Java, "--", "-cp", programs.BuildJava(t, jdk), "Ticker")
	if s.Protocol != "jdwp" || s.PID == nil {
		t.Errorf("session: %+v", s)
	}
	c := expect.StartJdb(t, jdk.Jdb, s.Local, filepath.Dir(path))
	c.AwaitSuspended()
	c.Ask("stop at Ticker:"+strconv.Itoa(line), `Set (deferred )?breakpoint|Deferring breakpoint`)
	c.Ask("run", `Breakpoint hit: [^\n]*Ticker\.tick\(\), line=`+strconv.Itoa(line))
	c.Ask("print square", `square = 1`)
	c.Ask("next", `Step completed: [^\n]*line=`+strconv.Itoa(line+1))
	c.Ask("print label", `label = "tick 1"`)

	second, err := startJdb(t, jdk, s.Local)
	if err == nil {
		second.Kill()
		t.Error("a second front end was let in")
	}
	w.leaves(t, s.ID, func() { c.Quit("quit") })

	c = expect.StartJdb(t, jdk.Jdb, s.Local, filepath.Dir(path))
	c.Ask("stop at Ticker:"+strconv.Itoa(line), `(?s)Breakpoint hit: .*Ticker\.tick\(\), line`)
	w.leaves(t, s.ID, func() { c.Kill() })
	w.Close(s.ID)
}
