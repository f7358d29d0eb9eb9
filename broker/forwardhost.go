package broker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// resolveWait bounds how long a forward waits for what the ssh configuration says of it before it listens.
const resolveWait = 5 * time.Second

// forwardHost keeps the link to a host up as long as it has forwards.
type forwardHost struct {
	m      *forwards
	name   string
	keeper keeper
	users  int         // m.mu guards it
	isHere atomic.Bool // it is known to be this machine

	once sync.Once
	opts tunnel.ForwardOptions

	cancel context.CancelFunc // m.mu guards it; nil until it runs
	done   chan struct{}
}

// join counts a further forward of a host in; m.mu is held.
func (m *forwards) join(name string) *forwardHost {
	l := m.links[name]
	if l == nil {
		l = &forwardHost{m: m, name: name, done: make(chan struct{})}
		l.keeper = m.hosts.keep(name, m.changed)
		m.links[name] = l
	}
	l.users++
	return l
}

// begin keeps the link up from now on. It begins once.
func (l *forwardHost) begin() {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.cancel != nil || l.users == 0 || l.m.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.Background()) // end ends it
	l.cancel = cancel
	go func() {
		defer close(l.done)
		if err := l.keeper.Run(ctx); err != nil && ctx.Err() == nil {
			l.m.log.Error("keep the link up", "host", l.name, "error", err)
		}
	}()
}

// end lets the link go, and waits for that.
func (l *forwardHost) end() {
	l.m.mu.Lock()
	cancel := l.cancel
	l.m.mu.Unlock()
	if cancel != nil && !ends(cancel, l.done) {
		l.m.log.Error("the keeper of a link does not end", "host", l.name)
	}
}

// options is what the ssh configuration says of how the host's forwards listen. Where it cannot be read they listen as ssh does by
// default, on loopback only.
func (l *forwardHost) options(ctx context.Context) tunnel.ForwardOptions {
	l.once.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, resolveWait)
		defer cancel()
		target, _, err := l.m.hosts.resolve(ctx, l.name, api.Caller{})
		if err != nil {
			l.m.log.Warn("read the ssh configuration", "host", l.name, "error", err)
			return
		}
		hop := target.Last()
		l.opts = tunnel.ForwardOptions{BindMask: hop.StreamLocalBindMask, Unlink: hop.StreamLocalUnlink, GatewayPorts: hop.GatewayPorts}
	})
	return l.opts
}

// waitError says why a forward waits for its host.
func waitError(host string, st tunnel.KeeperStatus) *api.Error {
	e := *asAPI(st.Err)
	switch hint := hintOf(st.Err); {
	case st.State == tunnel.LinkNeedsAuth:
		e.Hint = "answer what it asks for: brokerctl auth " + host
	case hint == "":
		e.Hint = "brokerd tries again by itself" // those of asAPI are for who opens a session
	}
	return &e
}
