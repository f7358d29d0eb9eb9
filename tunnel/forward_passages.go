package tunnel

import (
	"context"
	"fmt"
	"time"
)

// passage is one connection through a forward.
type passage struct {
	cancel context.CancelCauseFunc
}

// enter counts a connection in. It returns false where there are too many; leave must be called else.
func (f *Forward) enter(ctx context.Context) (inner context.Context, leave func(), ok bool) {
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	p := &passage{cancel: cancel}
	f.mu.Lock()
	f.total++
	ok = len(f.passages) < f.most && ctx.Err() == nil
	if ok {
		f.passages[p] = struct{}{}
	}
	f.mu.Unlock()
	if !ok {
		cancel(nil)
		f.failedUnless(ctx, fmt.Errorf("%w: %d", errBusy, f.most))
		return nil, nil, false
	}
	f.changed()
	return inner, func() {
		cancel(nil)
		f.mu.Lock()
		delete(f.passages, p)
		f.mu.Unlock()
		f.changed()
	}, true
}

func (f *Forward) dropAll(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.passages {
		p.cancel(cause)
	}
}

// failed notes what went wrong with one connection, or with the listener.
func (f *Forward) failed(err error) {
	f.mu.Lock()
	f.lastErr, f.lastAt = err, time.Now()
	f.mu.Unlock()
	f.log.Debug("connection failed", "error", err)
	f.changed()
}

// worked notes that a connection came about.
func (f *Forward) worked() {
	f.mu.Lock()
	had := f.lastErr != nil
	f.lastErr, f.lastAt = nil, time.Time{}
	f.mu.Unlock()
	if had {
		f.changed()
	}
}

func (f *Forward) setState(state string) {
	f.mu.Lock()
	had := f.state
	f.state = state
	f.mu.Unlock()
	if had != state {
		f.changed()
	}
}

func (f *Forward) changed() {
	if f.opts.Changed != nil {
		f.opts.Changed()
	}
}

// loops refuses what would come back to us.
func (f *Forward) loops(network, address string) error {
	if f.opts.Loop != nil && f.opts.Loop(network, address) {
		return hinted(fmt.Errorf("%w: %s", ErrLoop, address), "the target is where a forward listens: give another target, or remove one of the two")
	}
	return nil
}
