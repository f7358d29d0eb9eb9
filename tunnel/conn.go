package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/crypto/ssh"
)

// Conn is one authenticated SSH connection. Everything opened on it ends with it, with ErrLinkLost. All methods may be called
// at the same time.
type Conn struct {
	hop  *Hop
	ssh  *turns
	wire *wire
	via  *Conn // the connection to the hop before, ours alone; nil where wire is a socket
	// master is the ControlPath of the ssh whose connection this is; "" where it is ours.
	master string

	how string // by what the server was convinced that it is us: "the key /home/me/.ssh/id_ed25519 and keyboard-interactive"

	group group // all goroutines of the connection but those of x/crypto, which end with the wire
	done  chan struct{}
	far   farListeners
	lent  lending
	// served is the process at the other end.
	served servedBy

	mu    sync.Mutex
	cause error // why the connection ends: the first reason given counts

	ping pinger
}

func newConn(hop *Hop, w *wire, client ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request, log hclog.Logger) *Conn {
	c := &Conn{hop: hop, ssh: newTurns(client), wire: w, done: make(chan struct{}), ping: pinger{answered: make(chan struct{})},
		served: servedBy{turn: make(chan struct{}, 1)}}
	c.far.log = log.With("host", hop.name())
	seal := c.seal
	w.seal.Store(&seal)
	// x/crypto has one read loop for all: a queue that nobody serves stops every channel.
	c.group.spawn(func() { ssh.DiscardRequests(requests) })
	c.group.spawn(func() { c.serveChannels(channels) })
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

// sealWait bounds what a reader waits for a seal: only a lock that is held for ever could make it that long.
const sealWait = time.Second

// seal makes x/crypto refuse to send. Its mux.openChannel waits for ever for an answer where it adds its channel after the reading loop has let
// go of all, and can still send its request: handshakeTransport.writePacket swallows the error of the first write that fails, and only the
// next one is told. So here that first one is spent, before the reading loop hears of the end.
func (c *Conn) seal() {
	spent := make(chan struct{})
	if !c.group.spawn(func() {
		defer close(spent)
		_, _, _ = c.ssh.Conn.SendRequest("keepalive@openssh.com", false, nil)
	}) {
		return
	}
	timer := time.NewTimer(sealWait)
	defer timer.Stop()
	select {
	case <-spent:
	case <-timer.C:
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
		return nil, wrapHinted(fmt.Sprintf("dial %s from %s", address, c.hop.name()), classifyOpen(network, err))
	}
	return newStream(c, ch.channel, ch.requests, network, address), nil
}
