package tunnel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/crypto/ssh"
)

const (
	// listenWait bounds the far side's answer to a request to listen.
	listenWait = 15 * time.Second
	// keepPortFor is how long a port that the far side chose may be refused before another one will do. The sshd of a lost link holds it
	// until it notices the loss.
	keepPortFor = time.Minute
	// longestRetry is the longest pause between requests to listen.
	longestRetry = 30 * time.Second
)

// farPort is what a remote forward remembers from one link to the next.
type farPort struct {
	port    int       // that the far side chose; 0 where it has not, or need not
	held    bool      // the far side has listened once, for us or for an earlier process of ours
	refused time.Time // since when it does not give the port again; zero where it does, as far as is known
}

// serveRemote keeps a far listener up: on each link anew, and while the far side refuses, ever more rarely.
func (f *Forward) serveRemote(ctx context.Context) {
	memory := farPort{port: f.opts.FarPort, held: f.opts.FarPort != 0 && f.opts.FarPortHeld}
	pace := backoff.NewExponentialBackOff()
	pace.MaxInterval = longestRetry
	for ctx.Err() == nil {
		link, err := f.via.Up(ctx)
		if err != nil {
			rest(ctx, time.Second) // whoever keeps the link says why it is not there; here only the pace matters
			continue
		}
		select {
		case <-f.anew: // what is about to happen
		default:
		}
		l, err := f.listenFar(ctx, link, &memory)
		if err == nil {
			pace.Reset()
			f.serveFar(ctx, link, l)
			continue
		}
		if ctx.Err() != nil {
			return
		}
		switch {
		case errors.Is(err, ErrFarListen) && f.endStaleServers(ctx, link):
			pace.Reset()
			f.setState(ForwardWaiting)
		case errors.Is(err, ErrLinkLost):
			f.setState(ForwardWaiting)
		default:
			f.refused(ctx, link, err, memory)
		}
		pause := time.NewTimer(pace.NextBackOff())
		select {
		case <-pause.C:
		case <-link.Done():
			pace.Reset()
		case <-f.anew:
			pace.Reset()
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// refused shows that the far side does not listen. Where it has before, it is likely to again: the last link may still hold the place.
func (f *Forward) refused(ctx context.Context, link *Link, err error, memory farPort) {
	state := ForwardFailed
	if memory.held {
		state = ForwardWaiting
	}
	if port := cmp.Or(f.spec.Listen.Port, memory.port); errors.Is(err, ErrFarListen) && port != 0 {
		if who := f.farHolder(ctx, link, port); who != "" {
			err = wrapHinted(who, err)
		}
	}
	f.failed(err)
	f.setState(state)
}

func (f *Forward) listenFar(ctx context.Context, link *Link, memory *farPort) (*FarListener, error) {
	asking, cancel := context.WithTimeout(ctx, listenWait)
	defer cancel()
	e := f.spec.Listen
	if e.Path == "" && e.Port == 0 && (memory.refused.IsZero() || time.Since(memory.refused) < keepPortFor) {
		e.Port = memory.port
	}
	// Known before there is a listener: it may be lost at any moment afterwards.
	server := ProcessID{}
	if conn := link.first(); conn != nil {
		if id, err := conn.serverProcess(asking); err == nil {
			server = id
		}
	}
	f.suspect(server)
	opts := ListenOptions{Unlink: f.opts.Unlink || memory.held} // what was held was ours
	l, err := link.Listen(asking, e, opts)
	if errors.Is(err, ErrFarListen) && e.Port != f.spec.Listen.Port && !memory.held {
		e.Port = 0 // nobody has relied on it
		l, err = link.Listen(asking, e, opts)
	}
	if err != nil {
		if errors.Is(err, ErrFarListen) {
			f.acquit(server)
			if memory.refused.IsZero() {
				memory.refused = time.Now()
			}
		}
		return nil, err
	}
	bound, note := l.Endpoint(), ""
	if memory.held && memory.port != 0 && memory.port != bound.Port {
		note = fmt.Sprintf("the port is another: the server did not give %d again for %s", memory.port, keepPortFor)
		f.log.Warn("remote forward", "note", note)
	}
	memory.held, memory.refused = true, time.Time{}
	if f.spec.Listen.Port == 0 {
		memory.port = bound.Port
	}
	if bound.Host == "" && bound.Path == "" {
		bound.Host = "localhost"
	}
	f.mu.Lock()
	f.bound, f.note, f.looked = bound, note, false
	f.servers = slices.DeleteFunc(f.servers, func(id ProcessID) bool { return id != server }) // it could not listen if another did
	f.lastErr, f.lastAt = nil, time.Time{}
	f.mu.Unlock()
	f.setState(ForwardUp)
	f.group.spawn(func() { f.lookFar(ctx, link, bound) })
	return l, nil
}

// serveFar serves a far listener until the link is lost, ctx ends, or a Restart.
func (f *Forward) serveFar(ctx context.Context, link *Link, l *FarListener) {
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	restarted := f.group.spawn(func() {
		select {
		case <-f.anew:
			cancel()
		case <-serving.Done():
		}
	})
	for restarted {
		in, err := l.Accept(serving)
		if err != nil {
			break
		}
		inner, leave, ok := f.enter(ctx)
		if !ok || !f.group.spawn(func() { defer leave(); f.serveThere(inner, in) }) {
			in.Refuse(ssh.ResourceShortage, "too many connections at once")
		}
	}
	_ = l.Close()
	if path := l.Endpoint().Path; path != "" && ctx.Err() != nil {
		tidying, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelWait)
		defer cancel()
		link.removeStaleFar(tidying, path)
	}
	if ctx.Err() == nil {
		f.setState(ForwardWaiting)
	}
}

// serveThere carries one connection that came in at the far side.
func (f *Forward) serveThere(ctx context.Context, in *Incoming) {
	if f.spec.socks() {
		client, err := in.Take(ctx)
		if err != nil {
			f.failedUnless(ctx, err)
			return
		}
		stop := context.AfterFunc(ctx, func() { reset(client) })
		defer stop()
		f.serveSocks(ctx, client, f.dialNear, func(near net.Conn) { f.carry(ctx, near, client) })
		return
	}
	network, address := f.spec.Target.dialled()
	near, err := f.dialNear(ctx, network, address)
	if err != nil {
		in.Refuse(ssh.ConnectionFailed, bare(err).Error())
		f.failedUnless(ctx, err)
		return
	}
	far, err := in.Take(ctx)
	if err != nil {
		reset(near)
		f.failedUnless(ctx, err)
		return
	}
	f.carry(ctx, near, far)
}

// dialNear connects from here.
func (f *Forward) dialNear(ctx context.Context, network, address string) (net.Conn, error) {
	if err := f.loops(network, address); err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: nearWait}
	near, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return near, nil
}
