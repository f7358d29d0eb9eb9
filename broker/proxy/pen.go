package proxy

import (
	"context"
	"sync/atomic"
	"time"
)

// pen is the right to write to a front end. It is held through a whole message, so that what the broker itself has to say comes between
// two messages of the server.
type pen struct {
	right   chan struct{} // holds one
	waiting atomic.Int32
}

func newPen() *pen { return &pen{right: make(chan struct{}, 1)} }

// take waits until ctx is done.
func (p *pen) take(ctx context.Context) bool {
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	select {
	case p.right <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// hold waits as long as it takes: another's write ends with the connection at the latest.
func (p *pen) hold() { _ = p.take(context.Background()) }

// drop gives the right to who has waited longest.
func (p *pen) drop() { <-p.right }

// wanted tells the holder that somebody waits.
func (p *pen) wanted() bool { return p.waiting.Load() > 0 }

// voice is how the broker's own words are put in a front end's protocol. Both are called with the pen held; nil is nothing to say, or
// not the time for it.
type voice interface {
	line(text string) []byte       // shows a line
	farewell(reason string) []byte // ends the session in the front end
}

// lend lets the Proxy speak to an attached front end.
func (c *client) lend(v voice) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.voice = v
}

// speak writes the broker's own words between two messages, once it is its turn, unless ctx is done before. Where limit is not 0 the
// front end has as long to take them. It tells whether they were written.
func (c *client) speak(ctx context.Context, words func() []byte, limit time.Duration) bool {
	if !c.pen.take(ctx) {
		return false
	}
	defer c.pen.drop()
	message := words()
	if message == nil {
		return false
	}
	if limit > 0 {
		_ = c.front.SetWriteDeadline(time.Now().Add(limit)) // nobody else writes, and after a farewell what comes later matters to nobody
	}
	if _, err := c.front.Write(message); err != nil {
		c.cancel() // half a message may be on its way: nothing can follow it
		return false
	}
	return true
}
