package proxy

import (
	"context"
	"errors"
	"sync"
)

var errDismissed = errors.New("the session is ending")

// Tell shows a line to every front end whose protocol has words for that, which is DAP's alone. It does not wait for them; one that takes
// nothing is told nothing.
func (p *Proxy) Tell(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		v := c.voice
		if v == nil {
			continue
		}
		p.wg.Add(1) // the client is counted too, so that Run does not have done waiting
		go func() {
			defer p.wg.Done()
			defer c.survive()
			ctx, cancel := context.WithTimeout(context.Background(), writeTime)
			defer cancel()
			c.speak(ctx, func() []byte { return v.line(text) }, 0)
		}()
	}
}

// Dismiss tells the front ends that the session ends, and why, so that they end it on their side instead of showing a broken connection.
// Newcomers are refused from now on. It returns when those who were told have left, and after a moment, or when ctx is done, in any case;
// Run's end then closes who is still there.
func (p *Proxy) Dismiss(ctx context.Context, reason string) {
	ctx, cancel := context.WithTimeout(ctx, dismissTime)
	defer cancel()
	voices := map[*client]voice{}
	p.mu.Lock()
	if p.closing == nil {
		p.closing = errDismissed
	}
	for c := range p.conns {
		if c.voice != nil {
			voices[c] = c.voice
		}
	}
	p.mu.Unlock()
	told := map[*client]bool{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for c, v := range voices {
		all.Go(func() {
			defer c.survive()
			if c.speak(ctx, func() []byte { return v.farewell(reason) }, dismissTime) {
				mu.Lock()
				defer mu.Unlock()
				told[c] = true
			}
		})
	}
	all.Wait()
	leave, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	p.awaitGone(leave, told)
}

// awaitGone waits until none of those is connected any more.
func (p *Proxy) awaitGone(ctx context.Context, those map[*client]bool) {
	for {
		p.mu.Lock()
		there := false
		for c := range those {
			_, ok := p.conns[c]
			there = there || ok
		}
		changed := p.changed
		p.mu.Unlock()
		if !there {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
