package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"time"
)

// client is one accepted connection. Only its first goroutine uses it, but for attached and voice, which Proxy.mu guards, and for what
// is written to front, which the pen orders.
type client struct {
	p        *Proxy
	front    net.Conn
	cancel   context.CancelFunc
	pen      *pen
	voice    voice // nil while there are no words for the front end
	attached bool
	known    bool // identified was called
}

// serve decides who has come and serves it. run ends with the Proxy, ctx with this connection.
func (c *client) serve(run, ctx context.Context) {
	if c.p.cfg.SameUser == nil {
		c.p.events.refused("nobody can be told apart")
		return
	}
	if err := c.p.cfg.SameUser(c.front); err != nil {
		c.p.events.refused(err.Error())
		return
	}
	_ = c.front.SetReadDeadline(time.Now().Add(firstBytes))
	br := bufio.NewReaderSize(c.front, 32<<10)
	switch c.p.cfg.Protocol {
	case protocolDAP:
		if c.p.cfg.RPC {
			if b, err := br.Peek(1); err == nil && b[0] == '{' {
				c.serveRPC(run, ctx, br)
				return
			}
		}
		c.serveDAP(run, ctx, br)
	case protocolCDP:
		c.serveCDP(run, ctx, br)
	case protocolJDWP:
		c.serveJDWP(run, ctx, br)
	}
}

// identified ends the time in which the connection counts as one that has not said what it is.
func (c *client) identified() {
	if !c.known {
		c.known = true
		<-c.p.pending
		_ = c.front.SetReadDeadline(time.Time{})
	}
}

// nothing tells whether err is a connection that came and went, or was silent: not worth an event.
func nothing(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) || isReset(err)
}

// withServer lets the client in, dials, and calls talk with the connection. It returns an error if it did not come to talk.
func (c *client) withServer(run, ctx context.Context, dial func(context.Context) (net.Conn, error), talk func(far net.Conn) (ending string)) error {
	if err := c.p.gate.enter(ctx); err != nil {
		return err
	}
	defer c.p.gate.leave(run)
	dctx, cancel := context.WithTimeout(ctx, dialTime)
	far, err := dial(dctx)
	cancel()
	if err != nil {
		return fmt.Errorf("reach debug server: %w", err)
	}
	far = prompt(far)
	defer far.Close()
	defer context.AfterFunc(ctx, func() { far.Close() })()
	c.p.gate.reached()
	if err := c.p.settle(c); err != nil {
		return err
	}
	c.p.events.arrive()
	ending := endBroker
	defer func() { c.p.events.leave(ending) }()
	if how := talk(far); ctx.Err() == nil {
		ending = how
	}
	return nil
}

// dismiss writes last words and closes so that they can still be read.
func (c *client) dismiss(words []byte) {
	_ = c.front.SetWriteDeadline(time.Now().Add(writeTime))
	_, _ = c.front.Write(words)
	linger(c.front)
}

// Endings, as events name them.
const (
	endFront   = "the front end left"
	endServer  = "the debug server ended the connection"
	endRefused = "refused"
	endBroker  = "closed by the broker"
)

// survive keeps a panic over one connection from ending all the daemon's sessions. Deferred calls have taken the client out of its
// round and its seat by then.
func (c *client) survive() {
	if p := recover(); p != nil {
		c.p.cfg.Log.Error("panic", "value", p, "stack", string(debug.Stack()))
		c.p.events.refused(errBug.Error())
	}
}
