package broker

import (
	"context"
	"sync"
)

// Tracker is a version counter with wait-for-change. Whoever changes something that others watch calls Bump after the change;
// watchers read the state, then Wait for a version newer than the one they saw before reading.
type Tracker struct {
	mu      sync.Mutex
	version uint64
	changed chan struct{} // closed at the next Bump; nil while nobody waits
}

// Version returns the current version. Read it before the state that it guards.
func (t *Tracker) Version() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.version
}

// Bump says that something has changed. It never blocks.
func (t *Tracker) Bump() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version++
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// Changed is closed once the version is newer than seen.
func (t *Tracker) Changed(seen uint64) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	changed := t.changed
	if t.version > seen {
		changed = make(chan struct{})
		close(changed)
	}
	return changed
}

// Wait returns once the version is newer than seen, or with ctx's error.
func (t *Tracker) Wait(ctx context.Context, seen uint64) error {
	select {
	case <-t.Changed(seen):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
