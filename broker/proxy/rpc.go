package proxy

import (
	"bufio"
	"bytes"
	"context"
	"net"
)

// serveRPC serves a client of Delve's JSON-RPC (dlv connect): objects one after the other, in both directions, which need no framing
// here. Its first byte has been seen to be a brace; an object's next is a quotation mark.
func (c *client) serveRPC(run, ctx context.Context, br *bufio.Reader) {
	for n := 2; ; n++ {
		b, err := br.Peek(n)
		if err != nil {
			return // it came and went
		}
		if b[n-1] == '"' {
			break
		}
		if n > 64 || bytes.IndexByte([]byte(" \t\r\n"), b[n-1]) < 0 {
			c.p.events.refused("neither DAP nor JSON-RPC")
			return
		}
	}
	c.identified()
	up := func(far net.Conn) error { return forward(far, br) }
	if c.p.cfg.NeverTerminate {
		up = func(far net.Conn) error { return forwardGently(far, br) }
	}
	err := c.withServer(run, ctx, c.p.cfg.Dial, func(far net.Conn) string {
		return c.duplex(far,
			func() error { return up(far) },
			func() error { return forward(c.front, far) }, nil)
	})
	if err != nil { // JSON-RPC has an error for each request, but dlv shows none before its first answer
		c.p.events.refused(err.Error())
	}
}
