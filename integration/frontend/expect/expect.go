// Package expect wraps the front ends of package frontend for tests: each method fails the test instead of returning an error, each wait is
// bounded by Limit, and the transcript of a front end is printed when its test failed. It starts no goroutines of its own.
package expect

import (
	"context"
	"net"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/debugbroker/debugbroker/integration/frontend"
)

// Limit bounds each single wait. It is what a debug server needs at worst on a loaded machine under the race detector, not what is usual.
const Limit = 60 * time.Second

// DAP is frontend.DAP for tests. The embedded client's own methods return errors.
type DAP struct {
	*frontend.DAP
	t testing.TB
}

// DialDAP connects to addr. The connection is closed when the test ends.
func DialDAP(t testing.TB, addr string) DAP {
	t.Helper()
	return newDAP(t, must(t, func(ctx context.Context) (*frontend.DAP, error) { return frontend.DialDAP(ctx, addr) }))
}

// NewDAP speaks over conn, which is closed when the test ends.
func NewDAP(t testing.TB, conn net.Conn) DAP { return newDAP(t, frontend.NewDAP(conn)) }

func newDAP(t testing.TB, c *frontend.DAP) DAP {
	t.Cleanup(func() { c.Close(); show(t, "DAP", c.Transcript()) })
	return DAP{c, t}
}

// Begin initializes, attaches with args, sets breakpoints in path and ends the configuration: all that a front end does before the program
// runs.
func (d DAP) Begin(args map[string]any, path string, lines ...int) {
	d.t.Helper()
	d.Initialize()
	d.Attach(args)
	d.SetBreakpoints(path, lines...)
	d.ConfigurationDone()
}

// Initialize opens the conversation.
func (d DAP) Initialize() dap.Capabilities { d.t.Helper(); return must(d.t, d.DAP.Initialize) }

// Attach attaches with args.
func (d DAP) Attach(args map[string]any) {
	d.t.Helper()
	do(d.t, func(ctx context.Context) error { return d.DAP.Attach(ctx, args) })
}

// SetBreakpoints sets the breakpoints of path and demands that the server accepts each.
func (d DAP) SetBreakpoints(path string, lines ...int) {
	d.t.Helper()
	set := must(d.t, func(ctx context.Context) ([]dap.Breakpoint, error) { return d.DAP.SetBreakpoints(ctx, path, lines...) })
	for i, b := range set {
		if !b.Verified {
			d.t.Fatalf("breakpoint in line %d: not verified: %s", lines[i], b.Message)
		}
	}
}

// ConfigurationDone ends the configuration.
func (d DAP) ConfigurationDone() { d.t.Helper(); do(d.t, d.DAP.ConfigurationDone) }

// WaitStopped waits until a thread stops and demands the reason, if reason is not "".
func (d DAP) WaitStopped(reason string) dap.StoppedEventBody {
	d.t.Helper()
	s := must(d.t, d.DAP.WaitStopped)
	if reason != "" && s.Reason != reason {
		d.t.Fatalf("stopped for %q, want %q", s.Reason, reason)
	}
	return s
}

// Threads lists the threads.
func (d DAP) Threads() []dap.Thread { d.t.Helper(); return must(d.t, d.DAP.Threads) }

// Stack returns a stopped thread's frames.
func (d DAP) Stack(thread int) []dap.StackFrame {
	d.t.Helper()
	return must(d.t, func(ctx context.Context) ([]dap.StackFrame, error) { return d.DAP.Stack(ctx, thread) })
}

// Locals returns the innermost frame of a stopped thread and its variables.
func (d DAP) Locals(thread int) (dap.StackFrame, map[string]string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	defer cancel()
	frame, locals, err := d.DAP.Locals(ctx, thread)
	if err != nil {
		d.t.Fatal(err)
	}
	return frame, locals
}

// Next steps over and waits for the stop that follows.
func (d DAP) Next(thread int) dap.StoppedEventBody {
	d.t.Helper()
	do(d.t, func(ctx context.Context) error { return d.DAP.Next(ctx, thread) })
	return d.WaitStopped("step")
}

// Continue lets the program run.
func (d DAP) Continue(thread int) {
	d.t.Helper()
	do(d.t, func(ctx context.Context) error { return d.DAP.Continue(ctx, thread) })
}

// WaitEvent waits for an event.
func (d DAP) WaitEvent(event string, body any) {
	d.t.Helper()
	do(d.t, func(ctx context.Context) error { return d.DAP.WaitEvent(ctx, event, body) })
}

// WaitClosed waits until the server has hung up.
func (d DAP) WaitClosed() { d.t.Helper(); do(d.t, d.DAP.WaitClosed) }

// Disconnect takes leave.
func (d DAP) Disconnect(terminate bool) {
	d.t.Helper()
	do(d.t, func(ctx context.Context) error { return d.DAP.Disconnect(ctx, terminate) })
}

// CDP is frontend.CDP for tests.
type CDP struct {
	*frontend.CDP
	t testing.TB
}

// DialCDP asks the inspector at addr for its target and connects to it. The connection is closed when the test ends.
func DialCDP(t testing.TB, addr string) CDP {
	t.Helper()
	return DialCDPAt(t, must(t, func(ctx context.Context) (string, error) { return frontend.CDPTarget(ctx, addr) }))
}

// DialCDPAt connects to a websocket's URL. The connection is closed when the test ends.
func DialCDPAt(t testing.TB, url string) CDP {
	t.Helper()
	c := must(t, func(ctx context.Context) (*frontend.CDP, error) { return frontend.DialCDP(ctx, url) })
	t.Cleanup(func() { c.Abort(); show(t, "CDP", c.Transcript()) })
	return CDP{c, t}
}

// Start enables the domains and lets a waiting program go on.
func (c CDP) Start() { c.t.Helper(); do(c.t, c.CDP.Start) }

// SetBreakpoint sets a breakpoint and returns its id.
func (c CDP) SetBreakpoint(url string, line int) string {
	c.t.Helper()
	return must(c.t, func(ctx context.Context) (string, error) { return c.CDP.SetBreakpoint(ctx, url, line) })
}

// WaitPaused waits until the program pauses.
func (c CDP) WaitPaused() frontend.Pause { c.t.Helper(); return must(c.t, c.CDP.WaitPaused) }

// Locals returns a frame's variables.
func (c CDP) Locals(f frontend.CallFrame) map[string]string {
	c.t.Helper()
	return must(c.t, func(ctx context.Context) (map[string]string, error) { return c.CDP.Locals(ctx, f) })
}

// StepOver steps over and waits for the pause that follows.
func (c CDP) StepOver() frontend.Pause {
	c.t.Helper()
	do(c.t, c.CDP.StepOver)
	return c.WaitPaused()
}

// Resume lets the program run.
func (c CDP) Resume() { c.t.Helper(); do(c.t, c.CDP.Resume) }

// Console is frontend.Console for tests.
type Console struct {
	*frontend.Console
	t testing.TB
}

// StartJdb attaches a jdb. It is killed when the test ends.
func StartJdb(t testing.TB, jdb, addr, sources string) Console {
	t.Helper()
	return console(t, func(ctx context.Context) (*frontend.Console, error) {
		return frontend.StartJdb(ctx, jdb, addr, sources)
	})
}

// AwaitSuspended waits until jdb has taken in that the JVM waits at its start.
func (c Console) AwaitSuspended() { c.t.Helper(); do(c.t, c.Console.AwaitSuspended) }

// StartDlv runs `dlv connect`. It is killed when the test ends.
func StartDlv(t testing.TB, dlv, addr string) Console {
	t.Helper()
	return console(t, func(ctx context.Context) (*frontend.Console, error) { return frontend.StartDlv(ctx, dlv, addr) })
}

// StartLine runs a command line with path as its PATH, and waits for the prompt, a regular expression. It is killed when the test ends.
func StartLine(t testing.TB, line, path, prompt string) Console {
	t.Helper()
	return console(t, func(ctx context.Context) (*frontend.Console, error) {
		return frontend.StartLine(ctx, line, path, regexp.MustCompile(prompt))
	})
}

func console(t testing.TB, start func(context.Context) (*frontend.Console, error)) Console {
	t.Helper()
	c := must(t, start)
	t.Cleanup(func() { c.Kill(); show(t, "console", c.Transcript()) })
	return Console{c, t}
}

// Ask types a line and returns the output up to a match of the regular expression.
func (c Console) Ask(line, re string) string {
	c.t.Helper()
	return must(c.t, func(ctx context.Context) (string, error) { return c.Console.Ask(ctx, line, regexp.MustCompile(re)) })
}

// Expect returns the output up to a match of the regular expression.
func (c Console) Expect(re string) string {
	c.t.Helper()
	return must(c.t, func(ctx context.Context) (string, error) { return c.Console.Expect(ctx, regexp.MustCompile(re)) })
}

// Quit types a last line and waits for the end of the program.
func (c Console) Quit(line string) {
	c.t.Helper()
	do(c.t, func(ctx context.Context) error { return c.Console.Quit(ctx, line) })
}

func must[T any](t testing.TB, f func(context.Context) (T, error)) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	defer cancel()
	v, err := f(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func do(t testing.TB, f func(context.Context) error) {
	t.Helper()
	must(t, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
}

func show(t testing.TB, what, transcript string) {
	if t.Failed() {
		t.Logf("transcript of the %s front end:\n%s", what, transcript)
	}
}
