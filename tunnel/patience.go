package tunnel

import (
	"sync"
	"time"
)

// maxAsking is how long a hop's handshake may take where a person is asked, from its beginning to the last answer. sshd hangs up 120 s after
// the connection was made (LoginGraceTime), whoever is to blame.
const maxAsking = 110 * time.Second

// patience bounds one handshake: each stretch without a person by a limit of its own, and all together by maxAsking where one is asked.
type patience struct {
	mu      sync.Mutex
	timer   *time.Timer
	limit   time.Duration // of a stretch
	last    time.Time     // when whoever is asked must have answered
	asking  int           // questions that wait for an answer
	stopped bool
	lost    bool // it ran out
	slow    bool // it ran out while a person was asked
}

// newPatience calls out, once, when the handshake has taken too long.
func newPatience(limit time.Duration, out func()) *patience {
	p := &patience{limit: limit, last: time.Now().Add(maxAsking)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(limit, func() {
		p.mu.Lock()
		if p.stopped {
			p.mu.Unlock()
			return
		}
		p.stopped, p.lost, p.slow = true, true, p.asking > 0
		p.mu.Unlock()
		out()
	})
	return p
}

// next begins a stretch with another limit. It returns false where the handshake is over.
func (p *patience) next(limit time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	p.limit = limit
	if p.asking == 0 {
		p.timer.Reset(limit)
	}
	return true
}

// ask waits for a person until the returned function is called; then a stretch begins.
func (p *patience) ask() (answered func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asking++; !p.stopped {
		p.timer.Reset(time.Until(p.last))
	}
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.asking--; p.asking == 0 && !p.stopped {
			p.timer.Reset(p.limit)
		}
	})
}

// stop ends the watch; false where it was too late.
func (p *patience) stop() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.timer.Stop()
	return !p.lost
}

// ranOut tells whether time ran out, and whether that was while a person was asked.
func (p *patience) ranOut() (lost, asked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost, p.slow
}
