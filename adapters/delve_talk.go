package adapters

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"

	"github.com/debugbroker/debugbroker/adapters/dlvrpc"
)

// delveTalk is what is said to a multi-client Delve beside the front ends, and what must be remembered from one exchange to the
// next. One belongs to one Plan.
type delveTalk struct {
	shared bool // mode Port: the server is not ours, others may use it
	wait   bool // the program waits for the front end
	// attached: the program ran before, and was let run on at once.
	attached bool

	// turn holds one token. Who changes the program's state has it, so that a program which is let run on is not continued
	// under the hands of a front end that has just come. It guards what follows.
	turn       chan struct{}
	unattended bool         // no front end is there, and the program is meant to run
	others     map[int]bool // shared: breakpoints that were there before our front end came
}

func newDelveTalk(shared bool) *delveTalk {
	return &delveTalk{shared: shared, turn: make(chan struct{}, 1)}
}

const (
	// delveExchange bounds the exchanges that are not repeated, but Watch. A halt takes milliseconds; a target in an uninterruptible
	// wait takes for ever.
	delveExchange = 15 * time.Second
	// delveLaunch bounds the wait for the target to exist after the announcement: a large binary's symbols are not read yet then.
	delveLaunch = 30 * time.Second
)

// delvePatience bounds the tries of an exchange that is repeated: ten round trips on a long line, and more.
var delvePatience = [...]time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second}

func (d *delveTalk) enter(ctx context.Context) (leave func(), err error) {
	select {
	case d.turn <- struct{}{}:
		return func() { <-d.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func delveClient(ctx context.Context, dial Dial) (*dlvrpc.Client, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("dial delve: %w", err)
	}
	return dlvrpc.New(conn), nil
}

// exchange opens a connection for one short conversation, alone.
func (d *delveTalk) exchange(ctx context.Context, dial Dial, limit time.Duration, say func(context.Context, *dlvrpc.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	leave, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	c, err := delveClient(ctx, dial)
	if err != nil {
		return err
	}
	defer c.Close()
	return say(ctx, c)
}

// insist repeats an exchange on a fresh connection when it takes too long: a program that runs again unexpectedly leaves it waiting
// for a lock in Delve. Each exchange that it is used for may be carried out twice.
func (d *delveTalk) insist(ctx context.Context, dial Dial, say func(context.Context, *dlvrpc.Client) error) error {
	var err error
	for _, limit := range delvePatience {
		err = d.exchange(ctx, dial, limit, say)
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	return err
}

var delveVersion = regexp.MustCompile(`(?m)^Version: (\S{1,40})$`)

func (d *delveTalk) started(ctx context.Context, dial Dial) (Started, error) {
	var s Started
	err := d.exchange(ctx, dial, delveLaunch, func(ctx context.Context, c *dlvrpc.Client) error {
		running := false
		switch {
		case d.attached:
			if err := d.running(ctx, c); err != nil {
				return err
			}
			running = true
		case d.shared:
			// Somebody's program may run, and then Delve answers most questions only at its next stop.
			state, err := c.State(ctx, false)
			if err != nil {
				return err
			}
			running = state.Running
		}
		if !running {
			pid, err := c.ProcessPID(ctx)
			if err != nil {
				return err
			}
			s.PID = pid
		}
		text, err := c.Version(ctx)
		if err != nil {
			return err
		}
		if m := delveVersion.FindStringSubmatch(text); m != nil {
			s.Version = m[1]
		}
		if d.shared || d.wait {
			return nil
		}
		d.unattended = true
		if d.attached {
			return nil
		}
		return runOn(ctx, c)
	})
	return s, err
}

// beforeFirst ends the time in which a stop is nobody's. On a shared server it takes note of the breakpoints that are not our
// front end's; the program is halted for that, a few milliseconds, and goes on.
func (d *delveTalk) beforeFirst(ctx context.Context, dial Dial) error {
	if !d.shared {
		ctx, cancel := context.WithTimeout(ctx, delveExchange)
		defer cancel()
		leave, err := d.enter(ctx)
		if err != nil {
			return err
		}
		defer leave()
		d.unattended = false
		return nil
	}
	return d.insist(ctx, dial, func(ctx context.Context, c *dlvrpc.Client) error {
		ran, exited, err := quiet(ctx, c)
		if err != nil || exited {
			return err
		}
		all, err := c.Breakpoints(ctx)
		if err != nil {
			return err
		}
		d.others = make(map[int]bool, len(all))
		for _, b := range all {
			d.others[b.ID] = true
		}
		if ran {
			return runOn(ctx, c)
		}
		return nil
	})
}

// afterLast takes away what the front ends left: their breakpoints, a half-done step, a halt. Delve itself leaves the program
// frozen.
func (d *delveTalk) afterLast(ctx context.Context, dial Dial) error {
	return d.insist(ctx, dial, func(ctx context.Context, c *dlvrpc.Client) error {
		_, exited, err := quiet(ctx, c)
		if err != nil || exited {
			return err
		}
		all, err := c.Breakpoints(ctx)
		if err != nil {
			return err
		}
		for _, b := range all {
			// Delve's own stay: a later front end wants to see a panic.
			if b.ID <= 0 || d.others[b.ID] {
				continue
			}
			if err := c.ClearBreakpoint(ctx, b.ID); err != nil {
				return err
			}
		}
		if err := c.CancelStep(ctx); err != nil {
			return err
		}
		d.unattended = !d.shared
		return runOn(ctx, c)
	})
}

// quiet brings the program to a halt, and tells whether it ran before. A halt can be lost: the session of a front end that has gone
// a moment ago lets the program run again, until it notices. So it is asked for again.
func quiet(ctx context.Context, c *dlvrpc.Client) (ran, exited bool, err error) {
	const again = 20 // looks between two halts: a second with what comes between them
	halted := false
	for look := 0; ; look++ {
		s, err := c.State(ctx, false)
		switch {
		case err != nil || s.Exited || !s.Running && (halted || !ran):
			return ran, s.Exited, err
		case !s.Running:
			halted = true // and still so at the next look?
		default:
			ran, halted = true, false
			if look%again == 0 {
				if err := c.Halt(ctx); err != nil {
					return ran, false, err
				}
				continue
			}
		}
		select {
		case <-time.After(min(time.Duration(look)*5*time.Millisecond, 50*time.Millisecond)):
		case <-ctx.Done():
			return ran, false, context.Cause(ctx)
		}
	}
}

// runOn continues until the program really runs, or has ended: a further thread may have hit a breakpoint that is gone by now.
func runOn(ctx context.Context, c *dlvrpc.Client) error {
	for range 10 {
		if err := c.Continue(ctx); err != nil {
			return err
		}
		s, err := c.State(ctx, false)
		if err != nil || s.Running || s.Exited {
			return err
		}
	}
	return errors.New("the program stops again and again")
}

// stop kills the program and lets Delve end by itself.
func (d *delveTalk) stop(ctx context.Context, dial Dial) error {
	return d.exchange(ctx, dial, delveExchange, func(ctx context.Context, c *dlvrpc.Client) error {
		d.unattended = false
		if _, _, err := quiet(ctx, c); err != nil {
			return err
		}
		err := c.Detach(ctx, true) // that of an ended program too ends Delve
		var refused *dlvrpc.ServerError
		if errors.As(err, &refused) || errors.Is(err, net.ErrClosed) {
			return nil // nothing was left to detach from
		}
		return err
	})
}
