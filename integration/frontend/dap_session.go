package frontend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"

	"github.com/google/go-dap"
)

// Initialize opens the conversation as VS Code does: lines and columns from 1, paths as paths.
func (c *DAP) Initialize(ctx context.Context) (dap.Capabilities, error) {
	var caps dap.Capabilities
	err := c.Call(ctx, "initialize", dap.InitializeRequestArguments{
		ClientID: "test", ClientName: "test", AdapterID: "test", PathFormat: "path", LinesStartAt1: true, ColumnsStartAt1: true,
		SupportsVariableType: true, SupportsRunInTerminalRequest: true, SupportsStartDebuggingRequest: true,
	}, &caps)
	return caps, err
}

// Attach sends attach with args and waits for the event `initialized`. Some servers answer attach only after configurationDone, so its
// response is awaited there.
func (c *DAP) Attach(ctx context.Context, args map[string]any) error {
	// Editors send the whole configuration; debugpy takes empty arguments for missing ones and refuses them.
	all := map[string]any{"request": "attach"}
	maps.Copy(all, args)
	seq, err := c.Send("attach", all)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.attach = seq
	c.mu.Unlock()
	m, err := c.in.take(ctx, "event initialized, or a refusal", func(m DAPMessage) bool {
		return m.Event == "initialized" || m.Type == "response" && m.RequestSeq == seq && !m.Success
	})
	if err != nil {
		return err
	}
	return m.decode(nil)
}

// SetBreakpoints sets a file's breakpoints by line and returns what the server made of them.
func (c *DAP) SetBreakpoints(ctx context.Context, path string, lines ...int) ([]dap.Breakpoint, error) {
	points := []dap.SourceBreakpoint{}
	for _, l := range lines {
		points = append(points, dap.SourceBreakpoint{Line: l})
	}
	// go-dap's type leaves out an empty list, which debugpy never answers.
	args := map[string]any{"source": dap.Source{Name: filepath.Base(path), Path: path}, "breakpoints": points}
	var body dap.SetBreakpointsResponseBody
	err := c.Call(ctx, "setBreakpoints", args, &body)
	return body.Breakpoints, err
}

// ConfigurationDone ends the configuration and waits for the response to Attach as well.
func (c *DAP) ConfigurationDone(ctx context.Context) error {
	if err := c.Call(ctx, "configurationDone", dap.ConfigurationDoneArguments{}, nil); err != nil {
		return err
	}
	c.mu.Lock()
	seq := c.attach
	c.mu.Unlock()
	if seq == 0 {
		return nil
	}
	return c.Answer(ctx, seq, nil)
}

// WaitStopped waits until a thread stops.
func (c *DAP) WaitStopped(ctx context.Context) (dap.StoppedEventBody, error) {
	var body dap.StoppedEventBody
	err := c.WaitEvent(ctx, "stopped", &body)
	return body, err
}

// Threads lists the threads.
func (c *DAP) Threads(ctx context.Context) ([]dap.Thread, error) {
	var body dap.ThreadsResponseBody
	err := c.Call(ctx, "threads", nil, &body)
	return body.Threads, err
}

// Stack returns at most 20 frames of a stopped thread, the innermost first.
func (c *DAP) Stack(ctx context.Context, thread int) ([]dap.StackFrame, error) {
	var body dap.StackTraceResponseBody
	err := c.Call(ctx, "stackTrace", dap.StackTraceArguments{ThreadId: thread, Levels: 20}, &body)
	return body.StackFrames, err
}

// Scopes returns a frame's scopes.
func (c *DAP) Scopes(ctx context.Context, frame int) ([]dap.Scope, error) {
	var body dap.ScopesResponseBody
	err := c.Call(ctx, "scopes", dap.ScopesArguments{FrameId: frame}, &body)
	return body.Scopes, err
}

// Variables returns what is behind a reference of a scope or of a variable.
func (c *DAP) Variables(ctx context.Context, ref int) ([]dap.Variable, error) {
	var body dap.VariablesResponseBody
	err := c.Call(ctx, "variables", dap.VariablesArguments{VariablesReference: ref}, &body)
	return body.Variables, err
}

// Locals returns the variables of the first scope of a stopped thread's innermost frame, by name, and that frame.
func (c *DAP) Locals(ctx context.Context, thread int) (dap.StackFrame, map[string]string, error) {
	frames, err := c.Stack(ctx, thread)
	if err != nil {
		return dap.StackFrame{}, nil, err
	}
	if len(frames) == 0 {
		return dap.StackFrame{}, nil, fmt.Errorf("thread %d has no stack", thread)
	}
	scopes, err := c.Scopes(ctx, frames[0].Id)
	if err != nil {
		return frames[0], nil, err
	}
	if len(scopes) == 0 {
		return frames[0], nil, errors.New("the innermost frame has no scopes")
	}
	vars, err := c.Variables(ctx, scopes[0].VariablesReference)
	if err != nil {
		return frames[0], nil, err
	}
	locals := map[string]string{}
	for _, v := range vars {
		locals[v.Name] = v.Value
	}
	return frames[0], locals, nil
}

// Evaluate evaluates an expression in a frame.
func (c *DAP) Evaluate(ctx context.Context, frame int, expression string) (string, error) {
	var body dap.EvaluateResponseBody
	err := c.Call(ctx, "evaluate", dap.EvaluateArguments{Expression: expression, FrameId: frame, Context: "watch"}, &body)
	return body.Result, err
}

// Next steps over; the stop that follows is an event.
func (c *DAP) Next(ctx context.Context, thread int) error {
	return c.Call(ctx, "next", dap.NextArguments{ThreadId: thread}, nil)
}

// Continue lets the program run.
func (c *DAP) Continue(ctx context.Context, thread int) error {
	return c.Call(ctx, "continue", dap.ContinueArguments{ThreadId: thread}, nil)
}

// Disconnect takes leave. terminate asks the server to end the program.
func (c *DAP) Disconnect(ctx context.Context, terminate bool) error {
	// go-dap's type leaves out a false, and servers take what is left out as they like.
	err := c.Call(ctx, "disconnect", map[string]any{"terminateDebuggee": terminate}, nil)
	if err != nil && !errors.Is(err, ErrRefused) && ctx.Err() == nil {
		err = nil // the server may hang up before its answer has arrived
	}
	return errors.Join(err, c.Close())
}
