package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// The protocols of Config.Protocol; adapters.Protocol has the same words.
const (
	protocolDAP  = "dap"
	protocolCDP  = "cdp"
	protocolJDWP = "jdwp"
)

// Kinds of Config.OnEvent.
const (
	EventRefused  = "refused"
	EventAttached = "attached"
	EventDetached = "detached"
)

// Config is what a Proxy needs. Functions may be called from several goroutines, but OnClients and OnEvent one call at a time; those
// two must not block for long and must not call the Proxy.
type Config struct {
	Listener net.Listener // on 127.0.0.1; Run closes it
	Protocol string       // "dap", "cdp", "jdwp"
	// RPC says that Delve's JSON-RPC is served on the same port, told apart by the first byte.
	RPC bool
	// OneClient refuses a further front end while one is there. Subprocesses of a debugpy session are not further front ends.
	OneClient bool
	// AttachSet are members that the arguments of a DAP attach get, whatever stood there, and AttachDrop those that are taken out of them.
	AttachSet  map[string]any
	AttachDrop []string
	// NeverTerminate: the program was there before the session. DAP front ends can neither end it nor start another.
	NeverTerminate bool
	Dial           func(ctx context.Context) (net.Conn, error) // to the debug server; its conn should have CloseWrite
	// BeforeFirst runs before the first front end of a round is let in, AfterLast when the last one has gone; both may be nil and
	// are given 15 s. No front end is let in meanwhile. An error of BeforeFirst refuses the front end, one of AfterLast is logged.
	// AfterLast does not run when Run or Drain ends the round.
	BeforeFirst, AfterLast func(ctx context.Context) error
	// WSPath is the inspector's websocket path without its leading slash, where only the broker knows it: the proxy then serves
	// /json itself. "" is a server that does so.
	WSPath string
	Title  string // of the target in /json
	// SameUser decides who may connect, before a byte is read; nil refuses everybody.
	SameUser  func(net.Conn) error
	OnClients func(n int)             // the number of front ends, after each change; may be nil
	OnEvent   func(kind, text string) // may be nil; text may quote what a peer sent
	Log       hclog.Logger            // may be nil
}

// Proxy serves one local port.
type Proxy struct {
	cfg     Config
	host    string // of the local port
	port    int
	gate    *gate
	seats   *seats
	events  events
	pending chan struct{}
	wg      sync.WaitGroup

	mu      sync.Mutex
	conns   map[*client]struct{}
	changed chan struct{} // closed at each change of conns
	closing error         // why newcomers are refused
}

// New returns a Proxy that does nothing until Run.
func New(cfg Config) *Proxy {
	if cfg.Log == nil {
		cfg.Log = hclog.NewNullLogger()
	}
	p := &Proxy{
		cfg:     cfg,
		gate:    newGate(cfg.BeforeFirst, cfg.AfterLast, cfg.Log),
		seats:   newSeats(),
		events:  events{onEvent: cfg.OnEvent, onClients: cfg.OnClients, log: cfg.Log},
		pending: make(chan struct{}, maxPending),
		conns:   map[*client]struct{}{},
		changed: make(chan struct{}),
	}
	if a, ok := cfg.Listener.Addr().(*net.TCPAddr); ok {
		p.host, p.port = a.IP.String(), a.Port
	}
	return p
}

// Run accepts front ends until ctx is done. It then closes every connection and returns nil when all its goroutines have ended. An
// error is the listener's.
func (p *Proxy) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer p.wg.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { p.cfg.Listener.Close() })()
	for {
		c, err := p.cfg.Listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return nil
		}
		if err != nil {
			var ne net.Error
			if errors.As(err, &ne) && !errors.Is(err, net.ErrClosed) { // out of file descriptors, or a peer that has gone
				p.cfg.Log.Warn("accept front end", "error", err)
				if !sleep(ctx, relistenStep) {
					return nil
				}
				continue
			}
			return fmt.Errorf("accept front end: %w", err)
		}
		p.admit(ctx, c)
	}
}

// Unsettled tells, once Run has returned, whether AfterLast is still owed to the program: Run's end has cut off a front end, or AfterLast
// itself.
func (p *Proxy) Unsettled() bool { return p.gate.unsettled() }

// Drain says that the program has ended. Newcomers are refused from now on; those who are there may read what is on its way. It returns
// when they have left, or closes them when ctx is done.
func (p *Proxy) Drain(ctx context.Context) {
	p.gate.retire()
	p.mu.Lock()
	p.closing = errEnded
	for c := range p.conns {
		if !c.attached {
			c.cancel()
		}
	}
	p.mu.Unlock()
	for {
		p.mu.Lock()
		n, changed := len(p.conns), p.changed
		if ctx.Err() != nil {
			for c := range p.conns {
				c.cancel()
			}
		}
		p.mu.Unlock()
		if n == 0 {
			return
		}
		if ctx.Err() != nil { // closed connections end without waiting for anyone
			<-changed
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// admit starts the goroutine of a connection, if there is room for one.
func (p *Proxy) admit(run context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(run)
	c := &client{p: p, front: prompt(conn), pen: newPen(), cancel: cancel}
	p.mu.Lock()
	reason := ""
	switch {
	case p.closing != nil:
		reason = p.closing.Error()
	case len(p.conns) >= maxConns:
		reason = "too many connections"
	}
	if reason == "" {
		select {
		case p.pending <- struct{}{}:
			p.conns[c] = struct{}{}
			p.wg.Add(1)
		default:
			reason = "too many connections that say nothing"
		}
	}
	p.mu.Unlock()
	if reason != "" {
		cancel()
		conn.Close()
		p.events.refused(reason)
		return
	}
	go func() {
		defer p.wg.Done()
		defer c.survive()
		defer p.forget(c)
		defer cancel()
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		defer c.identified()
		c.serve(run, ctx)
	}()
}

func (p *Proxy) forget(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	close(p.changed)
	p.changed = make(chan struct{})
}

// settle marks a client as attached: Drain lets it stay. It returns an error if Drain or Dismiss was faster.
func (p *Proxy) settle(c *client) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.attached = p.closing == nil
	return p.closing
}

// sleep waits, unless ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
