package tunnel

import (
	"context"
	"errors"
	"slices"
	"time"
)

// entry is one link in the pool, from the first wish for it to its end. The pool's mu guards its fields; those that run sets
// before it closes ready are read without it afterwards.
type entry struct {
	pool   *Pool
	target Target
	cancel context.CancelFunc // ends the dial, or the link

	ready chan struct{} // closed once link and host, or err, are set
	link  *Link
	how   string // by what the far side was convinced that it is us
	host  Host
	err   error

	users     int // callers that wait, and Hosts not yet released
	abandoned bool
	idle      *time.Timer // ends the link; nil while it has users
	waiters   []*waiter
	turn      chan struct{} // closed, and made anew, when a waiter comes or goes
	line      string        // the last line of progress, for who comes late
	agents    []string      // agent sockets of the callers, the newest first
	tried     []string      // of them, those that the dial knows
	environ   []string      // of the newest caller that has one
}

// waiter is a caller that waits for a dial. The pool's mu guards ask and asked.
type waiter struct {
	lines chan string
	ask   Ask  // nil where nobody can be asked, or does not answer
	asked bool // it was
}

// over tells whether the entry is of no use to a new caller.
func (e *entry) over() bool {
	if e.abandoned {
		return true
	}
	if !isClosed(e.ready) {
		return false
	}
	return e.err != nil || isClosed(e.link.Done())
}

// run dials, runs the link until it ends, and takes the entry out of the pool.
func (e *entry) run(ctx context.Context) {
	p := e.pool
	conn, err := dialPatiently(ctx, e.dial, e.tell)
	if err != nil {
		p.mu.Lock()
		e.err = err
		if p.closed {
			e.err = ErrPoolClosed
		}
		news := needsPerson(err) && p.past(e).blame(err)
		p.forget(e)
		close(e.ready)
		p.mu.Unlock()
		if news {
			hop := e.target.Last()
			p.log.Warn("a person must see to this host; nothing connects to it by itself until then", "host", hop.name(), "error", err,
				"hint", hintOf(err))
		}
		return
	}
	hop := e.target.Last()
	link := newLink(conn, hop, e.dial, p.log)
	p.mu.Lock()
	e.link = link
	e.how = conn.how
	e.host = newShellHost(hop.name(), link, slices.Concat(e.target.Warnings(), conn.limits()), func() {})
	h := p.past(e)
	h.needs = nil
	if h.lost {
		h.lost = false
		h.reconnects++
	}
	close(e.ready)
	p.welcome(e.target.Key())
	p.mu.Unlock()
	p.log.Info("link up", "host", hop.name())
	err = link.Run(ctx)
	p.mu.Lock()
	h.lost = h.lost || err != nil
	if e.idle != nil {
		e.idle.Stop()
	}
	p.forget(e)
	p.mu.Unlock()
	if err != nil {
		p.log.Warn("link lost", "host", hop.name(), "error", err)
		return
	}
	p.log.Info("link closed", "host", hop.name())
}

// forget takes an entry out of the pool unless a newer one has its place. The pool's mu is held.
func (p *Pool) forget(e *entry) {
	if key := e.target.Key(); p.entries[key] == e {
		delete(p.entries, key)
	}
}

func (e *entry) dial(ctx context.Context) (*Conn, error) {
	e.pool.mu.Lock()
	agents := slices.Clone(e.agents)
	e.tried = agents
	environ := e.environ
	e.pool.mu.Unlock()
	return e.pool.dialer.dialAs(ctx, e.target, &attempt{agents: agents, environ: environ, asker: asker{ask: e.ask, present: e.present}, progress: e.tell})
}

// tell passes a line of progress on. Who does not listen misses lines, and holds nobody up.
func (e *entry) tell(line string) {
	e.pool.mu.Lock()
	defer e.pool.mu.Unlock()
	e.line = line
	for _, w := range e.waiters {
		select {
		case w.lines <- line:
		default:
		}
	}
}

// remember puts the caller's agent in front: shells end, and their agents with them.
func (e *entry) remember(caller Caller) {
	if caller.Environ != nil {
		e.environ = caller.Environ
	}
	if caller.AuthSock == "" {
		return
	}
	agents := slices.DeleteFunc(slices.Clone(e.agents), func(s string) bool { return s == caller.AuthSock })
	agents = append([]string{caller.AuthSock}, agents...)
	e.agents = agents[:min(len(agents), maxAgents)]
}

// missed tells whether the caller's agent came too late for the dial.
func (e *entry) missed(caller Caller) bool {
	e.pool.mu.Lock()
	defer e.pool.mu.Unlock()
	return caller.AuthSock != "" && !slices.Contains(e.tried, caller.AuthSock)
}

// wait returns when the entry has a link, or has none, or ctx is done. It hands on progress meanwhile.
func (w *waiter) wait(ctx context.Context, e *entry, progress func(string)) error {
	if progress == nil {
		progress = func(string) {}
	}
	for {
		select {
		case line := <-w.lines:
			progress(line)
		case <-e.ready:
			for len(w.lines) > 0 {
				progress(<-w.lines)
			}
			if errors.Is(e.err, context.Canceled) && ctx.Err() != nil {
				return ctx.Err()
			}
			return e.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
