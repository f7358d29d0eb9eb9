package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/crypto/ssh"
)

const (
	// maxIncoming is how many connections of one far listener wait for Accept; the server is told of further ones that they are too many.
	maxIncoming = 16
	// maxOwed bounds the requests to listen that a server owes the answer to: they take turns, and each stays in line though who asked has
	// given up.
	maxOwed = 256
	// cancelWait bounds the server's answer to the end of a far listener.
	cancelWait = 5 * time.Second
)

// ErrFarListen says that the far side would not listen. The server gives no reason: the place is taken there, or it forbids it.
var ErrFarListen = errors.New("the far side does not listen")

// ListenOptions is how a Link listens.
type ListenOptions struct {
	// Unlink removes a unix socket of the login user's, on which nobody listens, from where one is to be made. sshd leaves them behind.
	Unlink bool
}

// FarListener takes connections that come in at an address of the far side. It ends with its connection.
type FarListener struct {
	conn  *Conn
	asked Endpoint // with port 0 until the server has said which port it is
	bound Endpoint
	queue chan *Incoming
	ended chan struct{} // closed by Close
	once  sync.Once
}

// Incoming is a connection to a far listener. One of Take and Refuse must be called, once.
type Incoming struct {
	conn    *Conn
	channel ssh.NewChannel
	port    int
	address string // where it came in
}

// farListeners are those of one connection, and a count of what the server opened without being asked.
type farListeners struct {
	log hclog.Logger

	mu      sync.Mutex // guards the rest, and bound of all
	all     []*FarListener
	asking  int // requests to listen without an answer yet
	unasked uint64
}

// Listen has the server listen at an address of its side (tcpip-forward, RFC 4254, 7.1; streamlocal-forward@openssh.com, OpenSSH PROTOCOL,
// 2.4). Port 0 takes a free one. Where the server's GatewayPorts is off, which is usual, it listens on loopback whatever host was asked
// for, and does not say so.
//
// Errors wrap ErrFarListen, ErrLinkLost, or ErrForbidden where a ControlMaster's user was asked and said no. A server that does not answer within ctx
// may listen for a moment, until it gets the request to stop that follows its answer.
func (l *Link) Listen(ctx context.Context, e Endpoint, opts ListenOptions) (*FarListener, error) {
	if opts.Unlink && e.Path != "" {
		l.removeStaleFar(ctx, e.Path)
	}
	first := l.first()
	if first == nil {
		return nil, l.Err()
	}
	return first.listen(ctx, e)
}

func (c *Conn) listen(ctx context.Context, e Endpoint) (*FarListener, error) {
	l := &FarListener{conn: c, asked: e, bound: e, queue: make(chan *Incoming, maxIncoming), ended: make(chan struct{})}
	// Known before it is asked for: the first connection may come right behind the answer.
	if why := c.far.add(l); why != "" {
		return nil, fmt.Errorf("listen on %s at %s: %w: %s", e, c.hop.name(), ErrFarListen, why)
	}
	type answer struct {
		ok   bool
		data []byte
	}
	kind, data := l.request("")
	got, err := await(ctx, c, func() (answer, error) {
		defer c.far.answered()
		ok, data, err := c.ssh.SendRequest(kind, true, data)
		return answer{ok, data}, err
	}, func(a answer) {
		if a.ok {
			l.learn(a.data)
			l.cancel()
		}
	})
	switch {
	case err != nil:
		c.far.remove(l)
		return nil, wrapHinted(fmt.Sprintf("listen on %s at %s", e, c.hop.name()), err)
	case !got.ok:
		c.far.remove(l)
		return nil, hinted(fmt.Errorf("listen on %s at %s: %w", e, c.hop.name(), ErrFarListen), refusedListenHint(e))
	}
	if !l.learn(got.data) {
		c.far.remove(l)
		return nil, fmt.Errorf("listen on %s at %s: %w: the server does not say on which port it does", e, c.hop.name(), ErrFarListen)
	}
	return l, nil
}

func refusedListenHint(e Endpoint) string {
	if e.Path != "" {
		return "is a file there already (sshd leaves old sockets behind unless its StreamLocalBindUnlink is set), is the directory writable, and does " +
			"the server allow it (AllowStreamLocalForwarding, DisableForwarding)?"
	}
	hint := "is the port taken there, or does the server forbid it (AllowTcpForwarding, PermitListen, DisableForwarding)?"
	if e.Port > 0 && e.Port < 1024 {
		hint = "only root may listen on a port below 1024: " + hint
	}
	return hint
}

// learn takes the server's answer: for port 0, the port.
func (l *FarListener) learn(answer []byte) bool {
	if l.asked.Path != "" || l.asked.Port != 0 {
		return true
	}
	var port struct{ Port uint32 }
	if ssh.Unmarshal(answer, &port) != nil || port.Port == 0 || port.Port > 65535 {
		return false
	}
	l.conn.far.mu.Lock()
	defer l.conn.far.mu.Unlock()
	l.bound.Port = int(port.Port)
	return true
}

// request is the global request that makes the listener; before is "cancel-" for the one that ends it.
func (l *FarListener) request(before string) (kind string, data []byte) {
	if l.bound.Path != "" {
		return before + "streamlocal-forward@openssh.com", ssh.Marshal(&struct{ Path string }{l.bound.Path})
	}
	return before + "tcpip-forward", ssh.Marshal(&struct {
		Host string
		Port uint32
	}{askedHost(l.asked.Host), uint32(l.bound.Port)})
}

// askedHost is the address as ssh asks for it (channels.c, channel_rfwd_bind_host).
func askedHost(host string) string {
	switch host {
	case "":
		return "localhost"
	case "*":
		return ""
	}
	return host
}

// Endpoint is where it listens: what was asked for, with the port that the server took.
func (l *FarListener) Endpoint() Endpoint { return l.bound }

// Accept waits for a connection. Its errors are ErrLinkLost, net.ErrClosed, and ctx's.
func (l *FarListener) Accept(ctx context.Context) (*Incoming, error) {
	for {
		select {
		case in := <-l.queue:
			if l.bound.Path == "" && in.port != l.bound.Port { // it came before we knew the port, and was not for us
				in.Refuse(ssh.Prohibited, "not asked for")
				l.conn.far.strange()
				continue
			}
			return in, nil
		case <-l.ended:
			return nil, net.ErrClosed
		case <-l.conn.done:
			return nil, l.conn.lossOr(ErrLinkLost)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends the listener, and waits a few seconds at most for the server. Connections that were taken live on.
func (l *FarListener) Close() error {
	l.once.Do(func() {
		close(l.ended)
		l.conn.far.remove(l)
		ctx, cancel := context.WithTimeout(context.Background(), cancelWait)
		defer cancel()
		_, _ = await(ctx, l.conn, func() (struct{}, error) { l.cancel(); return struct{}{}, nil }, func(struct{}) {})
		for {
			select {
			case in := <-l.queue:
				in.Refuse(ssh.Prohibited, "no longer asked for")
			default:
				return
			}
		}
	})
	return nil
}

// cancel tells the server to stop. It wants no answer, which would wait behind others; what is asked for afterwards comes afterwards.
func (l *FarListener) cancel() {
	kind, data := l.request("cancel-")
	_, _, _ = l.conn.ssh.SendRequest(kind, false, data)
}

// Address is where at the far side the connection came in.
func (in *Incoming) Address() string { return in.address }

// Take accepts the connection.
func (in *Incoming) Take(ctx context.Context) (net.Conn, error) {
	type opened struct {
		channel  ssh.Channel
		requests <-chan *ssh.Request
	}
	got, err := await(ctx, in.conn, func() (opened, error) {
		channel, requests, err := in.channel.Accept()
		return opened{channel, requests}, err
	}, func(o opened) { _ = o.channel.Close(); ssh.DiscardRequests(o.requests) })
	if err != nil {
		return nil, fmt.Errorf("accept from %s: %w", in.conn.hop.name(), err)
	}
	network := "tcp"
	if in.port == 0 {
		network = "unix"
	}
	return newStream(in.conn, got.channel, got.requests, network, in.address), nil
}

// Refuse turns the connection down; the far side's client sees it closed. It does not wait.
func (in *Incoming) Refuse(why ssh.RejectionReason, text string) {
	in.conn.group.spawn(func() { _ = in.channel.Reject(why, text) })
}

// add makes a listener known that is about to be asked for; where it must not be, it says why.
func (f *farListeners) add(l *FarListener) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.asking >= maxOwed:
		return "the server has not answered earlier requests"
	case (l.asked.Port != 0 || l.asked.Path != "") && slices.ContainsFunc(f.all, func(o *FarListener) bool { return o.bound == l.asked }):
		return "another forward of ours does"
	}
	f.asking++
	f.all = append(f.all, l)
	return ""
}

func (f *farListeners) answered() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asking--
}

func (f *farListeners) remove(l *FarListener) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = slices.DeleteFunc(f.all, func(o *FarListener) bool { return o == l })
}
