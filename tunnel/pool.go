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

// PoolOptions set up a Pool.
type PoolOptions struct {
	Log hclog.Logger // nil: no log
	// Linger is how long a link that nobody uses is kept; 0 is 60 s.
	Linger time.Duration
	// Sockets is as Dialer.Sockets.
	Sockets string
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
	keepers map[*Keeper]string // those that run, and the keys of their targets
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

// NewPool makes a Pool. Its Run closes what Host opens.
func NewPool(options PoolOptions) *Pool {
	p := &Pool{log: options.Log, linger: options.Linger, entries: make(map[string]*entry), history: make(map[string]*history),
		keepers: make(map[*Keeper]string)}
	if p.log == nil {
		p.log = hclog.NewNullLogger()
	}
	if p.linger <= 0 {
		p.linger = defaultLinger
	}
	p.dialer.Log, p.dialer.Sockets = p.log, options.Sockets
	return p
}

// Run has forwards closed that an earlier process left behind in ControlMasters, waits until ctx is done, closes all links, and returns when their goroutines have ended. From then on Host fails with
// ErrPoolClosed.
func (p *Pool) Run(ctx context.Context) error {
	p.group.spawn(func() { sweepForwards(ctx, p.dialer.Sockets, "") })
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
	e, release, err := p.hold(ctx, target, caller, progress)
	if err != nil {
		return nil, err
	}
	return &lease{Host: e.host, name: name, release: release}, nil
}

// Link is the link under the Hosts on target, which it gets as Host does. The caller counts as a user of it until release, which may be
// called more than once.
func (p *Pool) Link(ctx context.Context, target Target, caller Caller, progress func(string)) (link *Link, release func(), err error) {
	e, release, err := p.hold(ctx, target, caller, progress)
	if err != nil {
		return nil, nil, err
	}
	return e.link, release, nil
}

// hold makes the caller a user of the entry for target, once that has a link.
func (p *Pool) hold(ctx context.Context, target Target, caller Caller, progress func(string)) (*entry, func(), error) {
	var e *entry
	var w *waiter
	for first := true; ; first = false {
		var err error
		if e, w, err = p.join(target, caller); err != nil {
			return nil, nil, err
		}
		if err = w.wait(ctx, e, progress); err == nil {
			break
		}
		p.leave(e, w)
		again := errors.Is(err, ErrAuth) && e.missed(caller) || first && errors.Is(err, ErrNeedsAuth) && w.couldAnswer(p)
		if ctx.Err() != nil || !again {
			return nil, nil, err
		}
	}
	p.mu.Lock()
	e.drop(w)
	p.mu.Unlock()
	return e, sync.OnceFunc(func() { p.leave(e, w) }), nil
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
	if e.users > 0 || isClosed(e.ready) && e.over() {
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

// lease is one caller's share of a Host that all on a link share, so that what it learned of the far side is asked once.
type lease struct {
	Host
	name    string
	release func()
}

func (l *lease) Name() string { return l.name }
func (l *lease) Release()     { l.release() }
