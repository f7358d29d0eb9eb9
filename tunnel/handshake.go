package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// handshake authenticates both sides over w, which it closes where it fails.
func (a *attempt) handshake(ctx context.Context, hop *Hop, w *wire, timeout time.Duration, look *hopLook) (conn *Conn, err error) {
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
	defer func() {
		if err != nil {
			_ = w.Close()
			w.finish()
		}
	}()

	authTimeout := max(timeout, minAuthTimeout)
	questions := a.about(over, hop, clock)
	ring := loadKeyring(over, hop, a.agents, questions)
	defer ring.close()
	defer context.AfterFunc(over, ring.close)() // an agent may wait for its user
	defer func() { look.shook(ctx, w, ring, err) }()
	keys, config, err := a.trust(over, hop, questions.put)
	if err != nil {
		return nil, err
	}
	config.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
		err := keys.check(over, key)
		look.judged(key, keys.how, err)
		if err != nil {
			return err
		}
		if clock.next(authTimeout) {
			trusted.Store(true)
			a.progress("authenticating to " + hop.name() + " as " + hop.User)
		}
		return nil
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
		err = errors.New("connection ended")
	}
	_ = w.Close()
	ranOut, asking := clock.ranOut()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("connect %s: %w", hop.addr(), context.Cause(ctx))
	case asking:
		return nil, unanswered(hop, trusted.Load())
	case ranOut:
		return nil, stalled(hop, w, trusted.Load(), timeout)
	case errors.Is(err, ErrHostKey):
		var judged *HintedError
		if errors.As(err, &judged) {
			return nil, judged // without the library's "ssh: handshake failed" before it
		}
		return nil, err
	case trusted.Load() && (!w.broken.Load() || ring.interrupted()):
		return nil, ring.refused()
	}
	return nil, broken(hop, w, trusted.Load(), err)
}

// trust sets up how the server is to show who it is. ctx ends with the handshake.
func (a *attempt) trust(ctx context.Context, hop *Hop, ask func(Prompt) (string, error)) (*hostKeys, *ssh.ClientConfig, error) {
	keys, err := loadHostKeys(hop, a.log, a.environment(), ask)
	if err != nil {
		return nil, nil, classified(ErrHostKey, err)
	}
	var more []knownLine
	if hop.KnownHostsCommand != "" {
		if more, err = keys.askCommand(ctx, "ORDER", nil); err != nil {
			return nil, nil, err
		}
	}
	config := &ssh.ClientConfig{User: hop.User}
	return keys, config, chooseAlgorithms(config, hop, keys.algorithms(more))
}

// unanswered is the error of a handshake for which a person took too long.
func unanswered(hop *Hop, trusted bool) error {
	class := ErrHostKey
	if trusted {
		class = ErrAuth
	}
	err := fmt.Errorf("%w: %s: nobody answered within %s", class, hop.addr(), maxAsking)
	return hinted(&classifiedError{class: ErrNeedsAuth, err: err}, "brokerctl auth "+hop.name()+" asks again")
}

// stalled says where a handshake came to a halt.
func stalled(hop *Hop, w *wire, trusted bool, timeout time.Duration) error {
	err := fmt.Errorf("handshake with %s: no answer within %s", hop.addr(), timeout)
	if trusted {
		err = fmt.Errorf("authentication to %s: no answer in time", hop.addr())
		return hinted(classified(ErrUnreachable, err), "does an agent or a security key wait for your answer?")
	}
	hint := "the port is open but no SSH server speaks there: is the Port right, or is the machine stuck?"
	if p, ok := w.Conn.(*proxyConn); ok {
		err, hint = fmt.Errorf("%w: the ProxyCommand %s", err, p.story()), proxyHint(hop)
	}
	return hinted(classified(ErrUnreachable, err), hint)
}

// broken says how a handshake broke off.
func broken(hop *Hop, w *wire, trusted bool, err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // what is around it says "ssh: handshake failed", as we do
	}
	op := "handshake with"
	if trusted {
		op = "authentication to"
	}
	var none *ssh.AlgorithmNegotiationError
	if errors.As(err, &none) {
		return noCommon(hop, none)
	}
	err = fmt.Errorf("%s %s: %w", op, hop.addr(), spoken(bare(err)))
	hint := "something answers on this port, but not as an SSH server should: is the Port right, or is the server overloaded?"
	if p, ok := w.Conn.(*proxyConn); ok {
		if p.over.Load() {
			err = fmt.Errorf("%w: the ProxyCommand %s", err, p.story())
		}
		return hinted(classified(ErrUnreachable, err), proxyHint(hop))
	}
	switch first := &w.first; {
	case first.busy():
		return hinted(classified(ErrUnreachable, classified(ErrBusy, fmt.Errorf("%s %s: it says %q and hangs up", op, hop.addr(), cleanText(string(first.text()), maxErrorText)))),
			"it limits how many may log in at the same time (MaxStartups), or has had enough of this address for a while (PerSourcePenalties): wait a little")
	case first.http():
		hint = "a web server answers on this port: is the Port right?"
	case len(first.text()) == 0:
		hint = "it hangs up at once: is it overloaded (MaxStartups), does it refuse this address, or does something else than sshd listen there?"
	case trusted:
		hint = "the server hung up in the midst of the login: its log says why"
	}
	return hinted(classified(ErrUnreachable, err), hint)
}

// noCommon says that the server and we have nothing in common, with what each has.
func noCommon(hop *Hop, e *ssh.AlgorithmNegotiationError) error {
	const limit = 600
	ours, theirs := strings.Join(e.SupportedAlgorithms, ", "), strings.Join(e.RequestedAlgorithms, ", ")
	return hinted(classified(ErrUnreachable, fmt.Errorf("handshake with %s: nothing in common for the %s; here: %s; there: %s",
		hop.addr(), e.What, cleanText(ours, limit), cleanText(theirs, limit))),
		"Ciphers, MACs, KexAlgorithms and HostKeyAlgorithms in the ssh configuration of "+hop.name()+" choose among what is known here")
}

// spoken bounds and cleans an error that may have the server's own words in it (a disconnect message).
func spoken(err error) error {
	text := strings.TrimPrefix(cleanText(err.Error(), maxErrorText), "ssh: ")
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}
