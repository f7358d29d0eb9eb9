package tunnel

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	defaultLinger = 60 * time.Second
	// maxAgents bounds how many callers' agent sockets are remembered for a link, the newest first.
	maxAgents = 4
)

// States of a link, as LinkStatus shows them.
const (
	LinkConnecting = "connecting"
	LinkUp         = "up"
	LinkDown       = "down" // none is needed now, or it was lost
	// LinkNeedsAuth is down, and stays so until a person has answered, or has mended what the last dial met: keys, an agent, known_hosts. Nothing
	// must dial by itself meanwhile, since servers lock out who keeps failing.
	LinkNeedsAuth = "needs-auth"
)

// LinkStatus is what is known of the link to a target.
type LinkStatus struct {
	State      string        // one of the Link constants
	RTT        time.Duration // round trip, as last measured; 0 where none is
	Reconnects int           // how often the link came up again after it was lost
	Conns      int           // connections that the link has now
	User       string        // as whom the link is up; "" where it is not
	Auth       string        // by what the far side was convinced: "password", "the key ~/.ssh/id_ed25519"; "" where the link is down, or it asked for nothing
	Needs      error         // why the state is LinkNeedsAuth; nil in others
}

// PoolOptions set up a Pool.
type PoolOptions struct {
	Log hclog.Logger // nil: no log
	// Linger is how long a link that nobody uses is kept; 0 is 60 s.
	Linger time.Duration
}

// Pool shares one Link among all Hosts on the same Target. Host may be called from any goroutine, also before Run is.
type Pool struct {
	log    hclog.Logger
	linger time.Duration
	dialer Dialer
	group  group

	mu      sync.Mutex // guards all below
	closed  bool
	entries map[string]*entry
	history map[string]*history
}

// history outlives the links to a target.
type history struct {
	lost       bool // the last link was lost, and none came up since
	reconnects int
	needs      error // what the last dial met that only a person can mend; nil once one has succeeded
}

// blame notes that a dial met what only a person can mend. It returns whether that is news.
func (h *history) blame(err error) bool {
	news := h.needs == nil
	h.needs = err
	return news
}

// past is the history of an entry's target. The pool's mu is held.
func (p *Pool) past(e *entry) *history {
	key := e.target.Key()
	h := p.history[key]
	if h == nil {
		h = &history{}
		p.history[key] = h
	}
	return h
}

// needsPerson tells errors of a dial that a person must do something about: an answer, a key, a look at the host's key.
func needsPerson(err error) bool {
	return errors.Is(err, ErrNeedsAuth) || errors.Is(err, ErrAuth) || errors.Is(err, ErrHostKey)
}

// NewPool makes a Pool. Its Run closes what Host opens.
func NewPool(options PoolOptions) *Pool {
	p := &Pool{log: options.Log, linger: options.Linger, entries: make(map[string]*entry), history: make(map[string]*history)}
	if p.log == nil {
		p.log = hclog.NewNullLogger()
	}
	if p.linger <= 0 {
		p.linger = defaultLinger
	}
	p.dialer.Log = p.log
	return p
}

// Run waits until ctx is done, closes all links, and returns when their goroutines have ended. From then on Host fails with
// ErrPoolClosed.
func (p *Pool) Run(ctx context.Context) error {
	<-ctx.Done()
	p.mu.Lock()
	p.closed = true
	for _, e := range p.entries {
		e.cancel()
	}
	p.mu.Unlock()
	p.group.wait()
	return nil
}

// Host returns a Host on the link to target, which it dials where there is none. However many ask at the same time, the
// target is dialled once; a caller whose ctx ends leaves the others their dial, and the last to leave ends it. progress may be
// nil; it hears, on this goroutine, what the dial is at. name is what the user called the host.
//
// The Host counts as a user of the link until its Release, which may be called more than once. Its Done is closed when the
// link is lost; the next call of Host then dials again. A caller that waited for another's dial, which was refused without the agent of
// this one or without anybody having been asked, has a dial of its own.
//
// What the host asks a person goes to the newest of the callers that wait and have an Ask, and to another one when that leaves.
func (p *Pool) Host(ctx context.Context, name string, target Target, caller Caller, progress func(string)) (Host, error) {
	var e *entry
	var w *waiter
	for first := true; ; first = false {
		var err error
		if e, w, err = p.join(target, caller); err != nil {
			return nil, err
		}
		if err = w.wait(ctx, e, progress); err == nil {
			break
		}
		p.leave(e, w)
		again := errors.Is(err, ErrAuth) && e.missed(caller) || first && errors.Is(err, ErrNeedsAuth) && w.couldAnswer(p)
		if ctx.Err() != nil || !again {
			return nil, err
		}
	}
	p.mu.Lock()
	e.drop(w)
	p.mu.Unlock()
	return &lease{Host: e.host, name: name, release: sync.OnceFunc(func() { p.leave(e, w) })}, nil
}

// join counts the caller as a user of the entry for target, and starts one where there is none that lives.
func (p *Pool) join(target Target, caller Caller) (*entry, *waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, ErrPoolClosed
	}
	e := p.entries[target.Key()]
	if e == nil || e.over() {
		ctx, cancel := context.WithCancel(context.Background())
		e = &entry{pool: p, target: target, cancel: cancel, ready: make(chan struct{}), turn: make(chan struct{})}
		if !p.group.spawn(func() { defer cancel(); e.run(ctx) }) {
			cancel()
			return nil, nil, ErrPoolClosed
		}
		p.entries[target.Key()] = e
	}
	e.remember(caller)
	e.users++
	if e.idle != nil {
		e.idle.Stop()
		e.idle = nil
	}
	w := &waiter{lines: make(chan string, 16), ask: caller.Ask}
	if e.line != "" {
		w.lines <- e.line
	}
	e.waiters = append(e.waiters, w)
	e.turned()
	return e, w, nil
}

// leave counts a user down. The last one ends a dial at once, and a link after the linger time.
func (p *Pool) leave(e *entry, w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.drop(w)
	e.users--
	if e.users > 0 {
		return
	}
	if !isClosed(e.ready) {
		e.cancel()
		e.abandoned = true // who comes now starts anew
		return
	}
	e.idle = time.AfterFunc(p.linger, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if e.users == 0 {
			e.abandoned = true
			e.cancel()
		}
	})
}

// Status tells what is known of the link to the target of that key; false where none was ever asked for.
func (p *Pool) Status(key string) (LinkStatus, bool) {
	p.mu.Lock()
	h := p.history[key]
	e := p.entries[key]
	status := LinkStatus{State: LinkDown}
	if h != nil {
		status.Reconnects = h.reconnects
		if h.needs != nil {
			status.State, status.Needs = LinkNeedsAuth, h.needs
		}
	}
	var link *Link
	if e != nil && !e.over() {
		status.State, status.Needs = LinkConnecting, nil
		if isClosed(e.ready) {
			status.State, link = LinkUp, e.link
			status.User, status.Auth = e.target.Last().User, e.how
		}
	}
	p.mu.Unlock()
	if link != nil {
		status.RTT, status.Conns = link.RTT(), link.Conns()
	}
	return status, h != nil || e != nil
}

// lease is one caller's share of a Host that all on a link share, so that what it learned of the far side is asked once.
type lease struct {
	Host
	name    string
	release func()
}

func (l *lease) Name() string { return l.name }
func (l *lease) Release()     { l.release() }
