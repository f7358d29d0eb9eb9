package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/crypto/ssh"
)

const (
	defaultConnectTimeout = 10 * time.Second
	// minAuthTimeout leaves time to touch a security key or to answer an agent that asks; sshd itself waits 120 s
	// (LoginGraceTime).
	minAuthTimeout = 30 * time.Second
)

// Dialer makes authenticated connections to Targets. The zero Dialer works and logs nothing.
type Dialer struct {
	Log hclog.Logger
}

// attempt is one call of Dial: who asks, and who hears of its progress.
type attempt struct {
	log      hclog.Logger
	agents   []string // agent sockets, the newest first
	asker    asker
	progress func(string)
	exam     *examination // nil but in Diagnose
}

// Dial connects to the last hop of target through all before it. Each hop has its ConnectTimeout (10 s where unset) for TCP,
// again for the key exchange, and at least 30 s for authentication; where a person is asked, 110 s for all of it. progress may be nil; it may
// be called from any goroutine, and so may the caller's Ask.
//
// Errors wrap ErrHostUnresolvable, ErrUnreachable, ErrHostKey, ErrAuth or ErrForbidden, and mostly are a *HintedError. Those that a person
// could mend by an answer wrap ErrNeedsAuth too.
func (d *Dialer) Dial(ctx context.Context, target Target, caller Caller, progress func(string)) (*Conn, error) {
	return d.dialAs(ctx, target, &attempt{agents: []string{caller.AuthSock}, asker: askerOf(caller), progress: progress})
}

func (d *Dialer) dialAs(ctx context.Context, target Target, a *attempt) (*Conn, error) {
	if len(target.hops) == 0 {
		return nil, classified(ErrHostUnresolvable, errors.New("dial: the target has no hop"))
	}
	a.log = d.Log
	if a.log == nil {
		a.log = hclog.NewNullLogger()
	}
	if a.progress == nil {
		a.progress = func(string) {}
	}
	for i := range target.hops {
		if hop := &target.hops[i]; hop.ProxyCommand != "" {
			return nil, hinted(classified(ErrUnreachable, fmt.Errorf("dial %s: its ssh configuration has a ProxyCommand", hop.name())),
				"ProxyCommand is not honoured yet: a ProxyJump to the same machine works")
		}
	}
	var conn *Conn
	for i := range target.hops {
		hop := &target.hops[i]
		next, err := a.dialHop(ctx, hop, conn)
		if err != nil {
			if conn != nil {
				_ = conn.Close()
			}
			if i > 0 || len(target.hops) > 1 {
				err = wrapHinted("connect "+hop.name(), err)
			}
			return nil, err
		}
		conn = next
	}
	return conn, nil
}

// dialHop connects to one hop, through via where that is not nil. Once it succeeds, the new Conn owns via.
func (a *attempt) dialHop(ctx context.Context, hop *Hop, via *Conn) (*Conn, error) {
	timeout := hop.ConnectTimeout
	if timeout <= 0 {
		timeout = defaultConnectTimeout
	}
	a.progress("connecting to " + hop.name())
	keys, err := loadHostKeys(hop)
	if err != nil {
		return nil, classified(ErrHostKey, err)
	}
	look := a.exam.hop(ctx, hop, via, timeout)
	began := time.Now()
	nc, err := a.reach(ctx, hop, via, timeout)
	look.reached(ctx, time.Since(began), err)
	if err != nil {
		return nil, err
	}
	conn, err := a.handshake(ctx, hop, look.over(newWire(nc)), keys, timeout, look)
	if err != nil {
		return nil, err
	}
	conn.via = via
	a.log.Debug("ssh connection up", "host", hop.name(), "address", hop.addr(), "server", quoteRemote(string(conn.ssh.ServerVersion())),
		"took", time.Since(began).Round(time.Millisecond).String())
	return conn, nil
}

// reach makes the byte stream that SSH will run over.
func (a *attempt) reach(ctx context.Context, hop *Hop, via *Conn, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if via == nil {
		network := "tcp"
		switch hop.AddressFamily {
		case "inet":
			network = "tcp4"
		case "inet6":
			network = "tcp6"
		}
		nc, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, network, hop.addr()) // Ping watches better
		if err != nil {
			return nil, classifyDial(hop, err)
		}
		return nc, nil
	}
	nc, err := via.Dial(ctx, "tcp", hop.addr())
	switch {
	case err == nil:
		return nc, nil
	case errors.Is(err, ErrFarDial):
		return nil, hinted(classified(ErrUnreachable, err), fmt.Sprintf("%s cannot reach it: is the name right as seen from there, and is it up?", via.hop.name()))
	case errors.Is(err, ErrForbidden):
		return nil, classified(ErrUnreachable, err)
	default:
		return nil, classifyDial(hop, err)
	}
}

// handshake authenticates both sides over w, which it closes where it fails.
func (a *attempt) handshake(ctx context.Context, hop *Hop, w *wire, keys *hostKeys, timeout time.Duration,
	look *hopLook) (conn *Conn, err error) {
	// A watchdog closes the wire: deadlines of the wire would have to be taken off again, and a stream through another hop
	// has none that interrupt a write.
	var trusted atomic.Bool
	over, end := context.WithCancel(ctx)
	defer end()
	clock := newPatience(timeout, end)
	defer clock.stop()
	stop := context.AfterFunc(over, func() { _ = w.Close() })
	defer stop()
	w.lost = end // nobody is to answer a server that has hung up

	authTimeout := max(timeout, minAuthTimeout)
	ring := loadKeyring(over, hop, a.agents, a.about(over, hop, clock))
	defer ring.close()
	defer context.AfterFunc(over, ring.close)() // an agent may wait for its user
	defer func() { look.shook(ctx, ring, err) }()
	config := &ssh.ClientConfig{
		User:              hop.User,
		HostKeyAlgorithms: keys.algorithms(),
		HostKeyCallback: func(host string, remote net.Addr, key ssh.PublicKey) error {
			err := keys.check(host, remote, key)
			look.judged(key, err)
			if err != nil {
				return err
			}
			if clock.next(authTimeout) {
				trusted.Store(true)
				a.progress("authenticating to " + hop.name() + " as " + hop.User)
			}
			return nil
		},
	}
	ring.apply(config)
	client, channels, requests, err := ssh.NewClientConn(w, hop.addr(), config)
	if err == nil {
		conn := newConn(hop, w, client, channels, requests, a.log)
		conn.how = ring.how()
		if hop.LendAgent {
			conn.lend(hop, a.agents)
		}
		if clock.stop() && stop() {
			return conn, nil
		}
		_ = conn.Close()
	}
	_ = w.Close()
	ranOut, asking := clock.ranOut()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("connect %s: %w", hop.addr(), context.Cause(ctx))
	case asking:
		return nil, unanswered(hop)
	case ranOut:
		return nil, stalled(hop, trusted.Load(), timeout)
	case errors.Is(err, ErrHostKey):
		var judged *HintedError
		if errors.As(err, &judged) {
			return nil, judged // without the library's "ssh: handshake failed" before it
		}
		return nil, err
	case trusted.Load() && (!w.broken.Load() || ring.interrupted()):
		return nil, ring.refused()
	default:
		if inner := errors.Unwrap(err); inner != nil {
			err = inner // what is around it says "ssh: handshake failed", as we do
		}
		return nil, hinted(classified(ErrUnreachable, fmt.Errorf("handshake with %s: %w", hop.addr(), bare(err))),
			"something answers on this port, but not as an SSH server should: is the Port right, or is the server overloaded?")
	}
}

// unanswered is the error of a handshake for which a person took too long.
func unanswered(hop *Hop) error {
	err := fmt.Errorf("%w: %s: nobody answered within %s", ErrAuth, hop.addr(), maxAsking)
	return hinted(&classifiedError{class: ErrNeedsAuth, err: err}, "brokerctl auth "+hop.name()+" asks again")
}

func stalled(hop *Hop, trusted bool, timeout time.Duration) error {
	err := fmt.Errorf("handshake with %s: no answer within %s", hop.addr(), timeout)
	if trusted {
		err = fmt.Errorf("authentication to %s: no answer in time", hop.addr())
		return hinted(classified(ErrUnreachable, err), "does an agent or a security key wait for your answer?")
	}
	return hinted(classified(ErrUnreachable, err), "the port is open but no SSH server speaks there: is the Port right, or is the machine stuck?")
}

// wrapHinted puts an operation before an error and keeps its hint.
func wrapHinted(op string, err error) error {
	var h *HintedError
	if errors.As(err, &h) {
		return hinted(fmt.Errorf("%s: %w", op, err), h.Hint)
	}
	return fmt.Errorf("%s: %w", op, err)
}
