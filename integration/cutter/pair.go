package cutter

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	chunkSize = 32 << 10
	// queued bounds what is on its way, each way of a connection: 64 chunks are 2 MiB, as much as an SSH channel's window.
	queued = 64
)

// pair is one connection through the proxy.
type pair struct {
	gone     chan struct{} // closed when it is over
	stranded atomic.Bool   // nothing passes any more

	mu   sync.Mutex
	near *net.TCPConn
	far  *net.TCPConn // nil until the target answered
	over bool
}

// chunk is what one read gave, and when it may go on.
type chunk struct {
	data []byte
	due  time.Time
}

func (c *pair) join(far *net.TCPConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		far.Close()
		return false
	}
	c.far = far
	return true
}

// reset ends both connections with RST instead of FIN: pending data is thrown away, as by a firewall that forgot them.
func (c *pair) reset() { c.end(true) }

func (c *pair) close() { c.end(false) }

func (c *pair) end(rst bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over = true
	close(c.gone)
	for _, conn := range []*net.TCPConn{c.near, c.far} {
		if conn == nil {
			continue
		}
		if rst {
			conn.SetLinger(0) // an error says that it is closed already
		}
		conn.Close()
	}
}

// pump carries one direction until it ends, half-closes included.
func (p *Proxy) pump(c *pair, to, from *net.TCPConn) {
	queue := make(chan chunk, queued)
	var writer sync.WaitGroup
	writer.Go(func() { p.deliver(c, to, queue) })
	defer writer.Wait()
	defer close(queue)
	for {
		buf := make([]byte, chunkSize)
		n, err := from.Read(buf)
		if n > 0 {
			select {
			case queue <- chunk{buf[:n], time.Now().Add(p.delayed())}:
			case <-c.gone:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) deliver(c *pair, to *net.TCPConn, queue <-chan chunk) {
	for ch := range queue {
		if wait := time.Until(ch.due); wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-c.gone:
				timer.Stop()
			}
		}
		if !p.pass(c) {
			break
		}
		if !p.write(to, ch.data) {
			c.reset()
			break
		}
	}
	for range queue { // the reader must never block on a writer that has left
	}
	if p.pass(c) { // the end of the stream is swallowed as well
		to.CloseWrite() // an error says that the connection is over, which its reader sees too
	}
}

func (p *Proxy) write(to *net.TCPConn, data []byte) bool {
	for len(data) > 0 {
		n := p.step(len(data))
		if _, err := to.Write(data[:n]); err != nil {
			return false
		}
		data = data[n:]
	}
	return true
}
