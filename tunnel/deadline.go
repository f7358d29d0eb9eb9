package tunnel

import (
	"sync"
	"time"
)

// deadline is a point in time that may be moved and that select can wait for. The zero deadline never comes. Who waits while
// it is moved waits for the new one.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer   // nil where none runs
	round int           // counts calls of set, so that a timer which fires late knows that it is of no more account
	past  chan struct{} // closed once the time has come
}

// set moves the deadline; the zero time takes it away.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.round++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.past == nil || isClosed(d.past) {
		d.past = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		close(d.past)
		return
	}
	round := d.round
	d.timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.round == round {
			close(d.past)
		}
	})
}

// expired is closed when the time has come.
func (d *deadline) expired() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.past == nil {
		d.past = make(chan struct{})
	}
	return d.past
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
