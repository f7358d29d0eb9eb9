package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/debugbroker/debugbroker/integration/frontend"
)

// debugDAP plays VS Code.
func debugDAP(ctx context.Context, n narrator, addr string, p program) (err error) {
	n.step("Attaching to %s as VS Code does, over DAP.", addr)
	c, err := frontend.DialDAP(ctx, addr)
	if err != nil {
		return err
	}
	defer func() {
		c.Close() // it may have been closed by Disconnect
		if err != nil {
			err = fmt.Errorf("%w\nwhat was said:\n%s", err, c.Transcript())
		}
	}()
	if _, err := c.Initialize(ctx); err != nil {
		return err
	}
	if err := c.Attach(ctx, p.attach); err != nil {
		return err
	}
	n.say(fmt.Sprintf("a breakpoint in %s, line %d:", filepath.Base(p.breakAt.path), p.breakAt.line))
	n.show("%s", p.breakAt.text)
	set, err := c.SetBreakpoints(ctx, p.breakAt.path, p.breakAt.line)
	if err != nil {
		return err
	}
	if len(set) != 1 || !set[0].Verified {
		return fmt.Errorf("the breakpoint was not accepted: %+v", set)
	}
	if err := c.ConfigurationDone(ctx); err != nil {
		return err
	}
	stop, err := c.WaitStopped(ctx)
	if err != nil {
		return err
	}
	n.say("the program has stopped there. Its stack:")
	frames, err := c.Stack(ctx, stop.ThreadId)
	if err != nil {
		return err
	}
	for _, f := range frames {
		where := "?"
		if f.Source != nil {
			where = filepath.Base(f.Source.Path)
		}
		n.show("%s  (%s:%d)", f.Name, where, f.Line)
	}
	if err := showLocals(ctx, n, c, stop.ThreadId, p.breakAt.line); err != nil {
		return err
	}
	n.step("One step.")
	if err := c.Next(ctx, stop.ThreadId); err != nil {
		return err
	}
	if stop, err = c.WaitStopped(ctx); err != nil {
		return err
	}
	if err := showLocals(ctx, n, c, stop.ThreadId, p.breakAt.line+1); err != nil {
		return err
	}
	n.step("Detaching. The program runs on, and the port would take the next front end.")
	return c.Disconnect(ctx, false)
}

func showLocals(ctx context.Context, n narrator, c *frontend.DAP, thread, line int) error {
	frame, locals, err := c.Locals(ctx, thread)
	if err != nil {
		return err
	}
	if frame.Line != line {
		return fmt.Errorf("stopped in line %d, not %d", frame.Line, line)
	}
	n.say(fmt.Sprintf("in line %d, the variables are:", line))
	n.variables(locals)
	return nil
}

// debugCDP plays Chrome's DevTools.
func debugCDP(ctx context.Context, n narrator, addr string, p program) (err error) {
	n.step("Attaching to %s as Chrome's DevTools do, over a websocket.", addr)
	url, err := frontend.CDPTarget(ctx, addr)
	if err != nil {
		return err
	}
	n.show("%s", url)
	c, err := frontend.DialCDP(ctx, url)
	if err != nil {
		return err
	}
	defer func() {
		c.Abort() // it may have been closed
		if err != nil {
			err = fmt.Errorf("%w\nwhat was said:\n%s", err, c.Transcript())
		}
	}()
	if err := c.Start(ctx); err != nil {
		return err
	}
	if _, err := c.WaitPaused(ctx); err != nil { // at the first line
		return err
	}
	if _, err := c.SetBreakpoint(ctx, "file://"+p.breakAt.path, p.breakAt.line); err != nil {
		return err
	}
	if err := c.Resume(ctx); err != nil {
		return err
	}
	show := func(line int) error {
		pause, err := c.WaitPaused(ctx)
		if err != nil {
			return err
		}
		f := pause.CallFrames[0]
		if f.Location.Line+1 != line {
			return fmt.Errorf("paused in line %d, not %d", f.Location.Line+1, line)
		}
		locals, err := c.Locals(ctx, f)
		if err != nil {
			return err
		}
		n.say(fmt.Sprintf("paused in %s, line %d, where the variables are:", f.FunctionName, line))
		n.variables(locals)
		return nil
	}
	if err := show(p.breakAt.line); err != nil {
		return err
	}
	n.step("One step.")
	if err := c.StepOver(ctx); err != nil {
		return err
	}
	if err := show(p.breakAt.line + 1); err != nil {
		return err
	}
	n.step("Detaching. The program runs on.")
	return c.Close()
}

// jdb's prompt is "> " or "main[1] ", several in a row where the program ran in between.
var (
	jdbPromptAtEnd = regexp.MustCompile(`(> |\w+\[\d+\] )\z`)
	jdbPrompts     = regexp.MustCompile(`^(> |\w+\[\d+\] )+`)
)

// debugJdb drives the JDK's own debugger.
func debugJdb(ctx context.Context, n narrator, addr string, p program) (err error) {
	n.step("Attaching jdb, the JDK's own debugger.")
	n.command("jdb", "-attach", addr)
	c, err := frontend.StartJdb(ctx, p.frontend, addr, filepath.Dir(p.breakAt.path))
	if err != nil {
		return err
	}
	defer func() {
		c.Kill() // it may have ended
		if err != nil {
			err = fmt.Errorf("%w\nwhat was said:\n%s", err, c.Transcript())
		}
	}()
	if err := c.AwaitSuspended(ctx); err != nil {
		return err
	}
	class := strings.TrimSuffix(filepath.Base(p.breakAt.path), ".java")
	line := strconv.Itoa(p.breakAt.line)
	next := strconv.Itoa(p.breakAt.line + 1)
	for _, ask := range []struct{ line, want string }{
		{"stop at " + class + ":" + line, `Set (deferred )?breakpoint|Deferring breakpoint`},
		{"run", `Breakpoint hit: [^\n]*line=` + line + `\b`},
		{"where", `\[1\] `},
		{"print square", `square = \d+`},
		{"next", `Step completed: [^\n]*line=` + next + `\b`},
		{"locals", `label = "[^"]*"`},
		{"clear " + class + ":" + line, `Removed`},
	} {
		out, err := c.Ask(ctx, ask.line, regexp.MustCompile(ask.want))
		if err != nil {
			return err
		}
		rest, err := c.Expect(ctx, jdbPromptAtEnd)
		if err != nil {
			return err
		}
		n.show("jdb> %s", ask.line)
		for l := range strings.Lines(out + rest) {
			if l = strings.TrimSpace(jdbPrompts.ReplaceAllString(l, "")); l != "" {
				n.show("     %s", l)
			}
		}
	}
	n.step("Leaving jdb. The program runs on.")
	return c.Quit(ctx, "quit")
}
