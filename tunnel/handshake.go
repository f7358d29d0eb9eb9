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

// maxAsking is how long a person may take to look at a host key. sshd hangs up 120 s after the connection was made (LoginGraceTime).
const maxAsking = 110 * time.Second

// handshake authenticates both sides over w, which it closes where it fails.
func (a *attempt) handshake(ctx context.Context, hop *Hop, w *wire, timeout time.Duration, look *hopLook) (conn *Conn, err error) {
	// A watchdog closes the wire: deadlines of the wire would have to be taken off again, and a stream through another hop
	// has none that interrupt a write.
	var timedOut, trusted atomic.Bool
	shaking, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(timeout, func() { timedOut.Store(true); cancel(); _ = w.Close() })
	defer watchdog.Stop()
	stop := context.AfterFunc(ctx, func() { _ = w.Close() })
	defer stop()
	defer func() {
		if err != nil {
			_ = w.Close()
			w.finish()
		}
	}()

	authTimeout := max(timeout, minAuthTimeout)
	ring := loadKeyring(ctx, hop, a.agents, time.Now().Add(timeout+authTimeout))
	defer ring.close()
	defer func() { look.shook(ctx, w, ring, err) }()
	keys, config, err := a.trust(shaking, hop, watchdog)
	if err != nil {
		return nil, err
	}
	config.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
		err := keys.check(shaking, key)
		look.judged(key, keys.how, err)
		if err != nil {
			return err
		}
		if watchdog.Reset(authTimeout) {
			trusted.Store(true)
			a.progress("authenticating to " + hop.name() + " as " + hop.User)
		}
		return nil
	}
	ring.apply(config)
	client, channels, requests, err := ssh.NewClientConn(w, hop.addr(), config)
	if err == nil {
		conn := newConn(hop, w, client, channels, requests)
		if stop() && watchdog.Stop() {
			return conn, nil
		}
		_ = conn.Close()
	}
	_ = w.Close()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("connect %s: %w", hop.addr(), context.Cause(ctx))
	case timedOut.Load():
		return nil, stalled(hop, w, trusted.Load(), timeout)
	case errors.Is(err, ErrHostKey):
		var judged *HintedError
		if errors.As(err, &judged) {
			return nil, judged // without the library's "ssh: handshake failed" before it
		}
		return nil, err
	case trusted.Load() && !w.broken.Load():
		return nil, ring.refused(err)
	}
	return nil, broken(hop, w, trusted.Load(), err)
}

// trust sets up how the server is to show who it is. ctx ends with the handshake.
func (a *attempt) trust(ctx context.Context, hop *Hop, watchdog *time.Timer) (*hostKeys, *ssh.ClientConfig, error) {
	var ask func(Prompt) (string, error)
	if a.ask != nil {
		ask = func(p Prompt) (string, error) {
			watchdog.Reset(maxAsking)
			a.progress("waiting for an answer about the key of " + hop.name())
			return a.ask(ctx, p)
		}
	}
	keys, err := loadHostKeys(ctx, hop, a.log, a.environment(), ask)
	if err != nil {
		return nil, nil, classified(ErrHostKey, err)
	}
	var more []knownLine
	if hop.KnownHostsCommand != "" {
		if more, err = keys.askCommand(ctx, "ORDER", nil); err != nil {
			return nil, nil, err
		}
	}
	config := &ssh.ClientConfig{User: hop.User, BannerCallback: func(string) error { return nil }}
	return keys, config, chooseAlgorithms(config, hop, keys.algorithms(more))
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
