package frontend

import (
	"context"
	"encoding/json"
	"errors"
)

// Start enables what a front end needs and lets a program go on that waits for one (--inspect-brk): it then pauses at its first line.
func (c *CDP) Start(ctx context.Context) error {
	for _, m := range []string{"Runtime.enable", "Debugger.enable", "Runtime.runIfWaitingForDebugger"} {
		if err := c.Call(ctx, m, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// SetBreakpoint sets a breakpoint by the file's URL and line (from 1) and returns its id. The script need not be loaded yet.
func (c *CDP) SetBreakpoint(ctx context.Context, url string, line int) (string, error) {
	var result struct {
		ID string `json:"breakpointId"`
	}
	err := c.Call(ctx, "Debugger.setBreakpointByUrl", map[string]any{"url": url, "lineNumber": line - 1}, &result)
	return result.ID, err
}

// WaitPaused waits until the program pauses.
func (c *CDP) WaitPaused(ctx context.Context) (Pause, error) {
	var p Pause
	if err := c.WaitEvent(ctx, "Debugger.paused", &p); err != nil {
		return p, err
	}
	if len(p.CallFrames) == 0 {
		return p, errors.New("paused without a frame")
	}
	return p, nil
}

// Locals returns the variables of a frame's innermost scope, as JSON values by name.
func (c *CDP) Locals(ctx context.Context, f CallFrame) (map[string]string, error) {
	if len(f.ScopeChain) == 0 {
		return nil, errors.New("the frame has no scopes")
	}
	var result struct {
		Result []struct {
			Name  string `json:"name"`
			Value *struct {
				Type        string          `json:"type"`
				Value       json.RawMessage `json:"value"`
				Description string          `json:"description"`
			} `json:"value"`
		} `json:"result"`
	}
	params := map[string]any{"objectId": f.ScopeChain[0].Object.ID, "ownProperties": true}
	if err := c.Call(ctx, "Runtime.getProperties", params, &result); err != nil {
		return nil, err
	}
	locals := map[string]string{}
	for _, p := range result.Result {
		switch {
		case p.Value == nil:
		case p.Value.Value != nil:
			locals[p.Name] = string(p.Value.Value)
		case p.Value.Description != "":
			locals[p.Name] = p.Value.Description
		default: // undefined has neither
			locals[p.Name] = p.Value.Type
		}
	}
	return locals, nil
}

// StepOver steps over; the pause that follows is an event.
func (c *CDP) StepOver(ctx context.Context) error { return c.Call(ctx, "Debugger.stepOver", nil, nil) }

// Resume lets the program run.
func (c *CDP) Resume(ctx context.Context) error { return c.Call(ctx, "Debugger.resume", nil, nil) }
