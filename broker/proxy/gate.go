package proxy

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/hashicorp/go-hclog"
)

var (
	errEnded = errors.New("the program has ended")
	errBug   = errors.New("the broker has a bug: see its log")
	errBusy  = errors.New("the session is busy with the front end before")
)

// gate orders rounds: a round is the time from the first front end's coming to the last one's going. Its lock is never held across a
// hook; those who come while one runs wait for the change.
type gate struct {
	before, after func(ctx context.Context) error
	log           hclog.Logger

	mu      sync.Mutex
	state   gateState
	inside  int  // clients between enter and leave
	dialled bool // one of this round has reached the server
	owed    bool // after is still to run, or to be run again, for those who have reached the server
	retired bool
	changed chan struct{}
}

type gateState string

const (
	gateShut    gateState = "shut" // nobody is there
	gateOpening gateState = "opening"
	gateOpen    gateState = "open"
	gateClosing gateState = "closing"
)

func newGate(before, after func(ctx context.Context) error, log hclog.Logger) *gate {
	return &gate{before: before, after: after, log: log, state: gateShut, changed: make(chan struct{})}
}

// enter waits for the client's turn and runs BeforeFirst if it is the first. Each nil must be followed by leave.
func (g *gate) enter(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, turnTime)
	defer cancel()
	for {
		g.mu.Lock()
		switch {
		case g.retired:
			g.mu.Unlock()
			return errEnded
		case g.state == gateOpen:
			g.inside++
			g.mu.Unlock()
			return nil
		case g.state == gateShut:
			g.set(gateOpening)
			g.mu.Unlock()
			return g.open(ctx)
		}
		changed := g.changed
		g.mu.Unlock()
		select {
		case <-changed:
		case <-wait.Done():
			return errBusy
		}
	}
}

func (g *gate) open(ctx context.Context) error {
	err := g.hook(ctx, g.before)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.set(gateShut)
		return fmt.Errorf("prepare debug server: %w", err)
	}
	g.inside, g.dialled = 1, false
	g.set(gateOpen)
	return nil
}

// reached says that a client of this round has a connection to the server, so that there is something for AfterLast to undo.
func (g *gate) reached() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dialled, g.owed = true, true
}

// unsettled tells whether the server still has to be rid of its front ends.
func (g *gate) unsettled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.owed && !g.retired
}

// leave ends the round with the last client, in that client's goroutine. ctx is the Proxy's: once it is done the session is closing,
// and the server with it.
func (g *gate) leave(ctx context.Context) {
	g.mu.Lock()
	g.inside--
	if g.inside > 0 {
		g.mu.Unlock()
		return
	}
	if !g.dialled || g.retired || ctx.Err() != nil {
		g.set(gateShut)
		g.mu.Unlock()
		return
	}
	g.set(gateClosing)
	g.mu.Unlock()
	err := g.hook(ctx, g.after)
	if err != nil {
		g.log.Warn("let program run on", "error", err)
	}
	g.mu.Lock()
	g.owed = err != nil
	g.set(gateShut)
	g.mu.Unlock()
}

// retire lets nobody in any more and runs no further hooks.
func (g *gate) retire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retired = true
	g.set(g.state)
}

// set must be called with mu held.
func (g *gate) set(s gateState) {
	g.state = s
	close(g.changed)
	g.changed = make(chan struct{})
}

// hook calls f. Its panic is an error, so that the gate moves on.
func (g *gate) hook(ctx context.Context, f func(context.Context) error) (err error) {
	if f == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			g.log.Error("panic", "value", p, "stack", string(debug.Stack()))
			err = errBug
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	return f(ctx)
}
