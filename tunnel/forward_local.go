package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// accept serves a local listener until it is closed, or ctx ends. No error ends it: what the system lacks now (files, memory), it may
// have again.
func (f *Forward) accept(ctx context.Context, l net.Listener) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var pause time.Duration
	for {
		near, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			f.failed(fmt.Errorf("accept: %w", bare(err)))
			rest(ctx, pause)
			continue
		}
		pause = 0
		inner, leave, ok := f.enter(ctx)
		if !ok || !f.group.spawn(func() { defer leave(); f.serveHere(inner, near) }) {
			reset(near)
		}
	}
}

// serveHere carries one connection that came in here. Whatever is wrong with it, it alone is reset, so that its client sees no empty
// success.
func (f *Forward) serveHere(ctx context.Context, near net.Conn) {
	stop := context.AfterFunc(ctx, func() { reset(near) })
	defer stop()
	if f.opts.Admit != nil {
		if err := f.opts.Admit(near); err != nil {
			reset(near)
			f.failed(fmt.Errorf("refused %s: %w", near.RemoteAddr(), err))
			return
		}
	}
	if !f.spec.socks() {
		network, address := f.spec.Target.dialled()
		far, err := f.dialFar(ctx, network, address)
		if err != nil {
			reset(near)
			f.failedUnless(ctx, err)
			return
		}
		f.carry(ctx, near, far)
		return
	}
	f.serveSocks(ctx, near, f.dialFar, func(far net.Conn) { f.carry(ctx, near, far) })
}

// dialFar waits for the link and connects from the far side.
func (f *Forward) dialFar(ctx context.Context, network, address string) (net.Conn, error) {
	if err := f.loops(network, address); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, linkWait)
	defer cancel()
	if _, err := f.via.Hurry(waiting); err != nil {
		return nil, err // says which host
	}
	dialling, cancel := context.WithTimeout(ctx, farWait)
	defer cancel()
	return f.via.Dial(dialling, network, address)
}

// carry passes bytes on between this machine and the far side until both are done.
func (f *Forward) carry(ctx context.Context, near, far net.Conn) {
	f.worked()
	if err := splice(ctx, near, far, &f.in, &f.out); err != nil {
		f.failedUnless(ctx, err)
	}
}

// failedUnless notes err, but for what our own end or a Restart brought about.
func (f *Forward) failedUnless(ctx context.Context, err error) {
	if ctx.Err() == nil {
		f.failed(err)
	}
}

// reset closes a connection so that its peer sees an error and no end of file: with an RST where it is TCP. A channel's close is what the
// far side's sshd makes of it.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
