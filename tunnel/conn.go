package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Conn is one authenticated SSH connection. Everything opened on it ends with it, with ErrLinkLost. All methods may be called
// at the same time.
type Conn struct {
	hop  *Hop
	ssh  ssh.Conn
	wire *wire
	via  *Conn // the connection to the hop before, ours alone; nil where wire is a socket
	// master is the ControlPath of the ssh whose connection this is; "" where it is ours.
	master string
	slot   sync.Mutex // with a master: held while a session is opened, or is there for a moment

	group group // all goroutines of the connection but those of x/crypto, which end with the wire
	done  chan struct{}

	mu    sync.Mutex
	cause error // why the connection ends: the first reason given counts

	pingMu  sync.Mutex
	pinging chan struct{} // closed when the ping under way is answered; nil where there is none
}

func newConn(hop *Hop, w *wire, client ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) *Conn {
	c := &Conn{hop: hop, ssh: client, wire: w, done: make(chan struct{})}
	// x/crypto has one read loop for all: a queue that nobody serves stops every channel.
	c.group.spawn(func() { ssh.DiscardRequests(requests) })
	c.group.spawn(func() { refuseChannels(channels) })
	c.group.spawn(func() {
		err := client.Wait()
		if err == nil {
			err = errors.New("connection ended")
		}
		c.setCause(bare(err))
		close(c.done)
	})
	return c
}

// refuseChannels turns down what the server wants to open: we asked for none of it.
func refuseChannels(channels <-chan ssh.NewChannel) {
	for ch := range channels {
		_ = ch.Reject(ssh.Prohibited, "not asked for")
	}
}

// Done is closed when the connection has ended, whoever ended it.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is nil while the connection lives; then it wraps ErrLinkLost and says why.
func (c *Conn) Err() error {
	select {
	case <-c.done:
		return c.lossOr(ErrLinkLost)
	default:
		return nil
	}
}

// Close ends the connection and all on it, and returns when its goroutines have ended. It may be called more than once.
func (c *Conn) Close() error {
	c.abort(errors.New("closed here"))
	c.group.wait()
	c.wire.finish()
	if c.via != nil {
		return c.via.Close()
	}
	return nil
}

// abort ends the connection without waiting. The socket under all hops goes first: a stream through a hop that answers no
// more cannot be closed politely.
func (c *Conn) abort(cause error) {
	c.setCause(cause)
	if c.via != nil {
		c.via.abort(cause)
	}
	_ = c.wire.Close()
	_ = c.ssh.Close()
}

func (c *Conn) setCause(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = err
	}
}

// lost tells whether the connection has ended or is about to, as far as can be known.
func (c *Conn) lost() bool {
	if c.wire.failed.Load() {
		return true
	}
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// lossOr is the error of an operation that the end of the connection ended; err where no cause is known.
func (c *Conn) lossOr(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		err = c.cause
	}
	if errors.Is(err, ErrLinkLost) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrLinkLost, c.hop.name(), err)
}

// Ping asks the server for an answer (keepalive@openssh.com, as ssh's ServerAlive does; see pingMaster for the other way) and returns how long that took. Where
// one Ping is under way already, another waits for the same answer, and the time is what was left of it.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	answer := c.startPing()
	if answer == nil {
		return 0, c.lossOr(ErrLinkLost)
	}
	select {
	case <-answer:
		if c.lost() {
			return 0, c.lossOr(ErrLinkLost)
		}
		return time.Since(began), nil
	case <-c.done:
		return 0, c.lossOr(ErrLinkLost)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// startPing sends a request unless one waits for its answer. x/crypto's SendRequest has no time limit and holds a lock, so
// that a second one would only queue behind it; it ends with the connection.
func (c *Conn) startPing() <-chan struct{} {
	c.pingMu.Lock()
	defer c.pingMu.Unlock()
	if c.pinging != nil {
		return c.pinging
	}
	answer := make(chan struct{})
	started := c.group.spawn(func() {
		if c.master != "" {
			c.pingMaster()
		} else {
			_, _, _ = c.ssh.SendRequest("keepalive@openssh.com", true, nil) // a refusal is an answer too
		}
		c.pingMu.Lock()
		c.pinging = nil
		c.pingMu.Unlock()
		close(answer)
	})
	if !started {
		return nil
	}
	c.pinging = answer
	return answer
}

// Dial connects from the server to an address there: network "tcp" with host:port, or "unix" with a socket's path. See stream
// for what the result can do.
//
// Errors wrap ErrForbidden, ErrFarDial or ErrLinkLost.
func (c *Conn) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	kind, extra, err := forwardRequest(network, address)
	if err != nil {
		return nil, err
	}
	type opened struct {
		channel  ssh.Channel
		requests <-chan *ssh.Request
	}
	ch, err := await(ctx, c, func() (opened, error) {
		channel, requests, err := c.ssh.OpenChannel(kind, extra)
		return opened{channel, requests}, err
	}, func(o opened) { _ = o.channel.Close(); ssh.DiscardRequests(o.requests) })
	if err != nil {
		return nil, fmt.Errorf("dial %s from %s: %w", address, c.hop.name(), classifyOpen(network, err))
	}
	return newStream(c, ch.channel, ch.requests, network, address), nil
}
