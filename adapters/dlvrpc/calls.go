package dlvrpc

import (
	"context"
	"errors"
	"regexp"
	"strconv"
)

// State is what the debugger knows of its program.
type State struct {
	PID int `json:"Pid"`
	// Running: the program runs, and nothing else is known.
	Running bool `json:"Running"`
	Exited  bool `json:"exited"`
	// ExitStatus is the exit code, or minus the number of the signal that killed the program (Linux).
	ExitStatus int `json:"exitStatus"`
}

// Breakpoint is a logical breakpoint.
type Breakpoint struct {
	ID int `json:"id"` // below 0: Delve's own, which stop at panics
}

// Version returns Delve's version as it spells it ("Version: 1.27.2\nBuild: …").
func (c *Client) Version(ctx context.Context) (string, error) {
	var out struct{ DelveVersion string }
	err := c.call(ctx, "GetVersion", nil, &out)
	return out.DelveVersion, err
}

// ProcessPID returns the debuggee's pid. A server accepts connections before its target has been started, and answers after
// that, so that this waits for a target.
func (c *Client) ProcessPID(ctx context.Context) (int, error) {
	var out struct{ Pid int }
	err := c.call(ctx, "ProcessPid", nil, &out)
	return out.Pid, err
}

// State tells what the program does. With block it waits for a running program to stop or end, at no cost for anyone; without,
// it answers at once.
func (c *Client) State(ctx context.Context, block bool) (State, error) {
	var out struct{ State State }
	err := c.call(ctx, "State", struct{ NonBlocking bool }{!block}, &out)
	return exited(out.State, err)
}

// Halt asks a running program to stop and does not wait for it; State tells when it has. Delve's own answer is no help: a DAP
// session whose connection has just gone may let the program run again before Delve answers, and the answer then never comes.
func (c *Client) Halt(ctx context.Context) error {
	_, err := c.send(ctx, "Command", command{"halt"})
	return err
}

// Continue lets the program run and does not wait: Delve answers when the program stops again, which may be never. The program
// runs on when the connection is closed. A State that is asked next on the same connection is answered after the start.
func (c *Client) Continue(ctx context.Context) error {
	_, err := c.send(ctx, "Command", command{"continue"})
	return err
}

// CancelStep forgets a step that was interrupted.
func (c *Client) CancelStep(ctx context.Context) error {
	return c.call(ctx, "CancelNext", nil, nil)
}

// Breakpoints lists the breakpoints, Delve's own with them. It waits while the program runs.
func (c *Client) Breakpoints(ctx context.Context) ([]Breakpoint, error) {
	var out struct{ Breakpoints []Breakpoint }
	err := c.call(ctx, "ListBreakpoints", nil, &out)
	return out.Breakpoints, err
}

// ClearBreakpoint removes a breakpoint. It waits while the program runs.
func (c *Client) ClearBreakpoint(ctx context.Context, id int) error {
	return c.call(ctx, "ClearBreakpoint", struct{ Id int }{id}, nil)
}

// Detach lets go of the program, or kills it (always where Delve started it), and ends the server. It waits while the program
// runs.
func (c *Client) Detach(ctx context.Context, kill bool) error {
	return c.call(ctx, "Detach", struct{ Kill bool }{kill}, nil)
}

type command struct {
	Name string `json:"name"`
}

// exitText is proc.ErrProcessExited's: State answers with it as an error once the program has ended, and there is no other sign.
var exitText = regexp.MustCompile(`^Process (\d+) has exited with status (-?\d+)$`)

// exited turns Delve's error for an ended program into a State.
func exited(s State, err error) (State, error) {
	var refused *ServerError
	if !errors.As(err, &refused) {
		return s, err
	}
	m := exitText.FindStringSubmatch(refused.Text)
	if m == nil {
		return s, err
	}
	pid, err1 := strconv.Atoi(m[1])
	status, err2 := strconv.Atoi(m[2])
	if err := errors.Join(err1, err2); err != nil {
		return s, err
	}
	return State{PID: pid, Exited: true, ExitStatus: status}, nil
}
