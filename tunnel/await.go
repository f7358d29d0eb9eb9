package tunnel

import (
	"context"
	"sync"
)

// group counts goroutines and refuses new ones once it is closed, so that waiting for them cannot race with starting one.
type group struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

// spawn runs f in a goroutine that wait waits for. It returns false, and runs nothing, where the group is closed.
func (g *group) spawn(f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.wg.Go(f)
	return true
}

// wait closes the group and returns when all that it runs has ended.
func (g *group) wait() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.wg.Wait()
}

// await runs f, which cannot be interrupted but ends with the connection, and waits for it no longer than ctx allows and the
// connection lives. A result that comes too late is given to undo.
func await[T any](ctx context.Context, c *Conn, f func() (T, error), undo func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	results := make(chan result)
	abandoned := make(chan struct{})
	started := c.group.spawn(func() {
		value, err := f()
		select {
		case results <- result{value, err}:
		case <-abandoned:
			if err == nil {
				undo(value)
			}
		}
	})
	if !started {
		return zero, c.lossOr(ErrLinkLost)
	}
	select {
	case r := <-results:
		if r.err != nil && c.lost() {
			return zero, c.lossOr(r.err)
		}
		return r.value, r.err
	case <-ctx.Done():
		close(abandoned)
		return zero, ctx.Err()
	case <-c.done:
		close(abandoned)
		return zero, c.lossOr(ErrLinkLost)
	}
}
