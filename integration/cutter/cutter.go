package cutter

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// dialTimeout bounds the connection to the target.
const dialTimeout = 10 * time.Second

// Proxy forwards a free port of 127.0.0.1 to a target.
type Proxy struct {
	target   string
	listener net.Listener
	done     chan struct{} // closed by Close
	running  sync.WaitGroup

	mu       sync.Mutex
	accepted int
	pairs    map[*pair]struct{}
	delay    time.Duration
	dribble  bool
	open     chan struct{} // closed while bytes may pass; replaced by a black hole
	dark     bool
}

// New starts a proxy to target (host:port). It is closed when the test ends.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, listener: l, done: make(chan struct{}), pairs: map[*pair]struct{}{}, open: make(chan struct{})}
	close(p.open)
	p.running.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// Addr is where the proxy listens, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Port is Addr's port.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Connections tells how many connections are open.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pairs)
}

// Accepted tells how many connections have come so far.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Cut resets every connection (RST both ways). New ones are served.
func (p *Proxy) Cut() {
	for _, c := range p.snapshot() {
		c.reset()
	}
}

// BlackHole stops forwarding, both ways and for new connections too, until Heal. The sockets stay open, and nobody is told.
func (p *Proxy) BlackHole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dark {
		p.dark = true
		p.open = make(chan struct{})
	}
}

// Heal ends a BlackHole. What was sent meanwhile is delivered, as TCP would by sending it again.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dark {
		p.dark = false
		close(p.open)
	}
}

// Strand stops forwarding for the connections that are there, for good, as a NAT does that has forgotten them. Their sockets stay open,
// and new connections are served.
func (p *Proxy) Strand() {
	for _, c := range p.snapshot() {
		c.stranded.Store(true)
	}
}

// Delay holds back what comes in from now on by d, each way: the round trip grows by twice d.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Dribble passes everything on one byte a write from now on, or no more so.
func (p *Proxy) Dribble(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dribble = on
}

// Close resets all connections, stops listening and waits until nothing of the proxy runs. It may be called again.
func (p *Proxy) Close() {
	p.mu.Lock()
	select {
	case <-p.done:
		p.mu.Unlock()
		p.running.Wait()
		return
	default:
		close(p.done)
	}
	p.mu.Unlock()
	p.listener.Close()
	p.Cut()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the client has gone before it was accepted
		}
		p.running.Go(func() { p.serve(near.(*net.TCPConn)) })
	}
}

func (p *Proxy) serve(near *net.TCPConn) {
	c := &pair{near: near, gone: make(chan struct{})}
	if !p.add(c) {
		c.reset()
		return
	}
	defer p.remove(c)
	if !p.pass(c) { // a black hole swallows new connections too
		return
	}
	conn, err := net.DialTimeout("tcp", p.target, dialTimeout)
	if err != nil {
		c.reset()
		return
	}
	if !c.join(conn.(*net.TCPConn)) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pump(c, c.far, c.near) })
	both.Go(func() { p.pump(c, c.near, c.far) })
	both.Wait()
	c.close()
}

// step is how many of n bytes go into one write.
func (p *Proxy) step(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dribble {
		return 1
	}
	return n
}

// pass waits until bytes may pass; false says that the connection or the proxy is over.
func (p *Proxy) pass(c *pair) bool {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	if c.stranded.Load() {
		open = nil
	}
	select {
	case <-open:
		return true
	case <-c.gone:
	case <-p.done:
	}
	return false
}

func (p *Proxy) add(c *pair) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
		return false
	default:
	}
	p.accepted++
	p.pairs[c] = struct{}{}
	return true
}

func (p *Proxy) remove(c *pair) {
	c.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pairs, c)
}

func (p *Proxy) snapshot() []*pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*pair, 0, len(p.pairs))
	for c := range p.pairs {
		all = append(all, c)
	}
	return all
}

func (p *Proxy) delayed() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}
