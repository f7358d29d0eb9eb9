package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/broker/peer"
	"github.com/debugbroker/debugbroker/tunnel"
)

// bindAgain bounds how rarely a port that somebody else has is tried again.
const bindAgain = time.Minute

// wanted is what was asked for. It never changes.
type wanted struct {
	host     string
	spec     tunnel.ForwardSpec
	sameUser bool
	source   string
	created  time.Time
}

// key tells forwards apart: two of the same key are the same, whatever they are called. The store keeps ports under it.
func (w wanted) key() string {
	return fmt.Sprintf("%s %s %+v %+v %v", w.host, w.spec.Kind, w.spec.Listen, w.spec.Target, w.sameUser)
}

// local tells whether it listens on this machine.
func (w wanted) local() bool { return w.spec.Kind != tunnel.ForwardRemote }

// anyPort tells whether it listens here on whatever port is free.
func (w wanted) anyPort() bool {
	return w.local() && w.spec.Listen.Path == "" && w.spec.Listen.Port == 0
}

// anyFarPort tells whether it listens on the host on whatever port the server there chooses.
func (w wanted) anyFarPort() bool {
	return !w.local() && w.spec.Listen.Path == "" && w.spec.Listen.Port == 0
}

// forward is one that is kept.
type forward struct {
	wanted
	m     *forwards
	link  *forwardHost
	name  string
	fresh bool          // somebody waits for it: where the port that it had is taken, it may have another
	done  chan struct{} // closed when run has returned
	gone  chan struct{} // closed when it is out of the list
	now   chan struct{} // a token: try to listen at once
	tries atomic.Uint64 // how often it was tried to listen

	// m.mu guards the rest.
	cancel  context.CancelFunc // nil until it runs
	ending  bool
	kept    bool    // whoever asked for it has been told so, or is about to be
	carrier carrier // nil while nothing listens
	farPort int     // what the store has as the port that the host's server chose
	err     error   // why nothing does
	shown   api.ForwardState
	since   time.Time
}

// start runs a forward, once.
func (m *forwards) start(f *forward) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.cancel != nil || f.ending || m.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.Background()) // its life is its own: drop and forwards.run end it
	f.cancel = cancel
	go f.run(ctx)
}

// stop ends a forward that runs, and waits for that. Its carrier ends at once; the bound is for a bug.
func (f *forward) stop() {
	f.m.mu.Lock()
	cancel := f.cancel
	f.m.mu.Unlock()
	if cancel != nil && !ends(cancel, f.done) {
		f.m.log.Error("a forward does not end", "forward", f.name)
	}
}

// ends tells what runs to end, and whether it has: done is closed when it has. The bound is for a bug.
func ends(cancel context.CancelFunc, done <-chan struct{}) bool {
	cancel()
	bound := time.NewTimer(forwardEnd)
	defer bound.Stop()
	select {
	case <-done:
		return true
	case <-bound.C:
		return false
	}
}

// tryNow makes one that could not listen try again at once.
func (f *forward) tryNow() {
	select {
	case f.now <- struct{}{}:
	default:
	}
}

// run listens, as soon as that is possible, and carries the forward until ctx is done.
func (f *forward) run(ctx context.Context) {
	defer close(f.done)
	// What was here may have been there before brokerd: an orphan of its own, or a program that is about to end. Most ports come free.
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = time.Second, bindAgain
	for {
		c, err := f.guarded(func() (carrier, error) { return f.bind(ctx) })
		f.m.mu.Lock()
		f.carrier, f.err = c, err
		f.m.mu.Unlock()
		f.tries.Add(1)
		f.m.changed()
		f.m.tracker.Bump()
		if err == nil {
			_, err := f.guarded(func() (carrier, error) { return nil, c.Run(ctx) })
			if ctx.Err() != nil {
				return
			}
			f.m.mu.Lock()
			f.carrier, f.err = nil, cmp.Or(err, errNotCarried)
			f.m.mu.Unlock()
			f.m.changed()
		}
		timer := time.NewTimer(wait.NextBackOff())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-f.now:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// errNotCarried is for a carrier that ended though nobody ended it.
var errNotCarried = errors.New("the forward has ended by itself")

// guarded makes a panic an error: it is the end of this forward, which then begins anew, and not of the daemon.
func (f *forward) guarded(do func() (carrier, error)) (c carrier, err error) {
	defer func() {
		if p := recover(); p != nil {
			f.m.log.Error("panic", "forward", f.name, "value", p, "stack", string(debug.Stack()))
			c, err = nil, errPanic
		}
	}()
	return do()
}

// bind makes the carrier and has it listen: on the port that was asked for, or the one that the forward had before, or a free one.
func (f *forward) bind(ctx context.Context) (carrier, error) {
	if !f.anyPort() && !f.anyFarPort() {
		return f.bindTo(ctx, f.spec.Listen.Port)
	}
	port, err := f.m.store.ForwardPort(f.key())
	if err != nil {
		f.m.log.Warn("look up the forward's port", "forward", f.name, "error", err)
	}
	if f.anyFarPort() {
		f.m.mu.Lock()
		f.farPort = port
		f.m.mu.Unlock()
		return f.bindTo(ctx, 0)
	}
	c, err := f.bindTo(ctx, port)
	if err != nil && port != 0 && f.fresh && f.tries.Load() == 0 {
		c, err = f.bindTo(ctx, 0)
	}
	if err != nil {
		return nil, err
	}
	if got := c.Status().Listen.Port; got != port {
		if err := f.m.store.SetForwardPort(f.key(), got); err != nil {
			f.m.log.Warn("remember the forward's port", "forward", f.name, "error", err)
		}
	}
	return c, nil
}

// rememberFarPort writes down which port the host's server has chosen, so that the next brokerd asks for it.
func (f *forward) rememberFarPort() {
	f.m.mu.Lock()
	c, known := f.carrier, f.farPort
	f.m.mu.Unlock()
	if c == nil || !f.anyFarPort() {
		return
	}
	port := c.Status().Listen.Port
	if port == 0 || port == known {
		return
	}
	if err := f.m.store.SetForwardPort(f.key(), port); err != nil {
		f.m.log.Warn("remember the forward's port", "forward", f.name, "error", err)
		return
	}
	f.m.mu.Lock()
	f.farPort = port
	f.m.mu.Unlock()
}

func (f *forward) bindTo(ctx context.Context, port int) (carrier, error) {
	spec := f.spec
	spec.Listen.Port = port
	o := f.link.options(ctx)
	o.Changed = f.m.changed
	o.Loop = func(network, address string) bool { return f.m.comesBack(f, network, address) }
	o.Log = f.m.log.With("forward", f.name)
	if f.sameUser {
		o.Admit = admitSameUser
	}
	if !f.fresh {
		o.Unlink = true // a brokerd that was killed has left its socket
	}
	f.m.mu.Lock()
	o.FarPort, o.FarPortHeld = f.farPort, !f.fresh
	f.m.mu.Unlock()
	c, err := f.m.carry(spec, f.link.keeper, o)
	if err != nil {
		return nil, err
	}
	if err := c.Bind(ctx); err != nil {
		if other := f.m.listening(f, port); other != nil {
			return nil, apiErrorf(api.CodePortBusy, "remove it first: brokerctl unforward "+other.name, "listen on %s: the forward %s does already", listenText(spec.Listen), other.name)
		}
		return nil, apiErrorf(api.CodePortBusy, cmp.Or(hintOf(err), "have it listen somewhere else"), "%v", err)
	}
	return c, nil
}

// admitSameUser lets only our own user and root in. Where that cannot be told, as of who comes from another machine, nobody.
func admitSameUser(c net.Conn) error {
	if _, unix := c.(*net.UnixConn); unix {
		return checkPeer(c)
	}
	return peer.SameUser(c)
}

// view is the forward as users see it.
func (f *forward) view() api.Forward {
	f.m.mu.Lock()
	c, err, since := f.carrier, f.err, f.since
	f.m.mu.Unlock()
	v := api.Forward{
		Name: f.name, Host: f.host, Kind: string(f.spec.Kind), Listen: listenText(f.spec.Listen), State: api.ForwardWaiting,
		Since: since.UTC(), SameUser: f.sameUser, Source: f.source,
	}
	if f.spec.Target != (tunnel.Endpoint{}) {
		v.Target = f.spec.Target.String()
	}
	if c == nil {
		if err != nil {
			v.State, v.Error = api.ForwardFailed, asAPI(err)
		}
		return v
	}
	st := c.Status()
	if st.Listen != (tunnel.Endpoint{}) {
		v.Listen = listenText(st.Listen)
	}
	if v.State = api.ForwardState(st.State); v.State == api.ForwardUp {
		v.Note = st.Note
	}
	v.Connections, v.Total, v.BytesIn, v.BytesOut = st.Connections, st.Total, st.BytesIn, st.BytesOut
	if st.Err != nil {
		v.Error = forwardError(st.Err)
	}
	if link := f.link.keeper.Status(); link.State != tunnel.LinkUp && v.State != api.ForwardFailed {
		v.State, v.Note = api.ForwardWaiting, ""
		if link.Err != nil {
			v.Error = waitError(f.host, link)
		}
	}
	return v
}

// forwardError says what is wrong with a forward, or with the last of its connections.
func forwardError(err error) *api.Error {
	e := *asAPI(err)
	switch {
	case errors.Is(err, tunnel.ErrLoop):
		e.Code = api.CodeForwardLoop
	case errors.Is(err, tunnel.ErrFarListen):
		e.Code, e.Hint = api.CodeForwarding, hintOf(err)
	case e.Code == api.CodeInternal: // nobody's bug: what it leads to does not answer
		e.Code, e.Hint = api.CodeNotFound, hintOf(err)
	}
	return &e
}

// listenText is where a forward listens. Without a bind address that is loopback, unless the configuration there says otherwise.
func listenText(e tunnel.Endpoint) string {
	if e.Path == "" && e.Host == "" {
		e.Host = "127.0.0.1"
	}
	return e.String()
}
