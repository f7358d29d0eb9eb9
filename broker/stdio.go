package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"time"

	"github.com/debugbroker/debugbroker/store"
	"github.com/debugbroker/debugbroker/tunnel"
)

// stdioLeave is how long a debug server that was started for one front end may take to leave by itself once that front end has gone:
// debugpy lets its program run on first.
const stdioLeave = 5 * time.Second

// stdioTurn bounds how long a front end waits for the last one's debug server to be gone.
const stdioTurn = 20 * time.Second

// dialStdio starts the plan's Stdio for one front end, in a workspace of its own, which goes with it. One at a time: the next waits
// until the last is gone, since two debug servers on one program disturb each other.
func (s *session) dialStdio(ctx context.Context, r *rig) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, stdioTurn)
	defer cancel()
	select {
	case r.stdio <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the last debug server to end: %w", context.Cause(ctx))
	}
	c, err := s.startStdio(ctx, r)
	if err != nil {
		<-r.stdio
		return nil, err
	}
	return c, nil
}

func (s *session) startStdio(ctx context.Context, r *rig) (net.Conn, error) {
	e := store.Entry{
		ID: tunnel.NewWorkspaceName(), Session: s.id, Host: s.req.Host, Workspace: path.Join(r.facts.TempDir, tunnel.NewWorkspaceName()),
		Boot: r.facts.BootID, Root: r.root, Created: time.Now().UTC(),
	}
	if err := s.b.ledger.enter(e); err != nil {
		return nil, err
	}
	cwd := r.plan.ServerCwd
	if cwd == "" {
		cwd = r.plan.Cwd
	}
	proc, err := func() (tunnel.Process, error) {
		if err := r.host.MakeWorkspace(ctx, e.Workspace); err != nil {
			return nil, fmt.Errorf("make a private directory on %s: %w", hostLabel(s.req.Host), err)
		}
		return r.host.Start(ctx, tunnel.Spec{Workspace: e.Workspace, Argv: r.plan.Stdio, Env: r.plan.Env, Cwd: cwd, Stdin: true})
	}()
	if err != nil {
		s.endStdio(ctx, r, e)
		return nil, err
	}
	inNear, inFar := net.Pipe()
	outNear, outFar := net.Pipe()
	in := make(chan struct{})
	r.guarded(func() {
		defer close(in)
		io.Copy(proc.Stdin(), inFar)
		inFar.Close() // a server that reads no more must not hold the front end's writes
		proc.Stdin().Close()
	})
	r.task(ctx, func(ctx context.Context) {
		splitLines(ctx, proc.Stderr(), func(line string) { s.out.add("server", line, time.Now().UTC()) })
	})
	r.guarded(func() {
		defer func() { <-r.stdio }()
		io.Copy(outFar, proc.Stdout())
		outFar.Close()
		inFar.Close()
		<-in
		wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stdioLeave)
		proc.Wait(wctx)
		cancel()
		proc.Release()
		s.endStdio(ctx, r, e)
	})
	return &stdioConn{in: inNear, out: outNear}, nil
}

// endStdio cleans up after one debug server of dialStdio.
func (s *session) endStdio(ctx context.Context, r *rig, e store.Entry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
	defer cancel()
	left, err := s.b.ledger.reap(ctx, r.host, e)
	if err != nil || len(left) > 0 {
		s.log.Warn("clean up after a front end", "workspace", e.Workspace, "left", left, "error", err)
		s.b.ledger.abandon(e)
	}
}

// settleStdio waits until the debug servers of dialStdio are gone. Front ends have been closed before.
func (s *session) settleStdio(ctx context.Context, r *rig) {
	if r.network != "stdio" {
		return
	}
	select {
	case r.stdio <- struct{}{}: // and nobody gets it back: no more are started
	case <-ctx.Done():
	}
}

// stdioConn is a connection to a process's standard input and output.
type stdioConn struct{ in, out net.Conn }

func (c *stdioConn) Read(p []byte) (int, error)         { return c.out.Read(p) }
func (c *stdioConn) Write(p []byte) (int, error)        { return c.in.Write(p) }
func (c *stdioConn) CloseWrite() error                  { return c.in.Close() }
func (c *stdioConn) Close() error                       { return errors.Join(c.in.Close(), c.out.Close()) }
func (c *stdioConn) LocalAddr() net.Addr                { return stdioAddr{} }
func (c *stdioConn) RemoteAddr() net.Addr               { return stdioAddr{} }
func (c *stdioConn) SetReadDeadline(t time.Time) error  { return c.out.SetReadDeadline(t) }
func (c *stdioConn) SetWriteDeadline(t time.Time) error { return c.in.SetWriteDeadline(t) }
func (c *stdioConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

type stdioAddr struct{}

func (stdioAddr) Network() string { return "stdio" }
func (stdioAddr) String() string  { return "stdio" }
