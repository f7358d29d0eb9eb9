package adapters

import (
	"context"
	"strconv"
	"time"

	"github.com/debugbroker/debugbroker/adapters/dlvrpc"
)

// delvePoll and delvePollMax are the pace at which a halted program is looked at. A running one costs nothing: one question
// is answered when it stops.
const (
	delvePoll    = 500 * time.Millisecond
	delvePollMax = 2 * time.Second
)

// watch waits for the debuggee's end. The question that Delve answers only when a running program stops costs nothing while it
// runs; halted, the program is looked at now and then.
func (d *delveTalk) watch(ctx context.Context, dial Dial) (Exit, error) {
	c, err := delveClient(ctx, dial)
	if err != nil {
		return Exit{}, err
	}
	defer c.Close()
	pause := delvePoll
	for block := false; ; {
		s, err := c.State(ctx, block)
		switch {
		case err != nil:
			return Exit{}, err
		case s.Exited:
			return delveExit(s.ExitStatus), nil
		case s.Running:
			block, pause = true, delvePoll
			continue
		}
		block = false
		resumed, err := d.resumeUnattended(ctx, c)
		if err != nil {
			return Exit{}, err
		}
		if resumed {
			continue
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return Exit{}, context.Cause(ctx)
		}
		pause = min(pause*5/4, delvePollMax)
	}
}

// resumeUnattended lets a program go on that has stopped while no front end is there: at a panic, which Delve stops at by itself,
// it would else never end.
func (d *delveTalk) resumeUnattended(ctx context.Context, c *dlvrpc.Client) (bool, error) {
	leave, err := d.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	if !d.unattended {
		return false, nil
	}
	// Asked again, now that nobody else can let it run: Delve queues a continue for a running program and carries it out at the
	// next stop, which may be a front end's.
	s, err := c.State(ctx, false)
	if err != nil || s.Running || s.Exited {
		return true, err
	}
	if err := c.Continue(ctx); err != nil {
		return true, err
	}
	// The turn is kept until Delve has taken the continue: it must not arrive under a front end that has come since.
	_, err = c.State(ctx, false)
	return true, err
}

// signalNames are Linux's numbers up to the last that commonly ends a program (signal(7), x86 and arm).
var signalNames = [...]string{"", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM"}

// delveExit reads Delve's exit status: below zero it is a signal's number.
func delveExit(status int) Exit {
	switch n := -status; {
	case n <= 0:
		return Exit{Code: status}
	case n < len(signalNames):
		return Exit{Signal: signalNames[n]}
	default:
		return Exit{Signal: strconv.Itoa(n)}
	}
}
