package tunnel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
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
	// Sockets is a directory of ours alone, in one that is there, for the sockets to which a ControlMaster leads its forwards, and for what it takes to
	// have those closed that a process of ours has left behind. "" stands for a new one each time.
	Sockets string
}

// attempt is one call of Dial: who asks, and who hears of its progress.
type attempt struct {
	log      hclog.Logger
	sockets  string   // as the Dialer's
	agents   []string // agent sockets, the newest first
	environ  []string // what programs of the configuration get, K=V each; nil is our own environment
	asker    asker
	progress func(string)
	exam     *examination // nil but in Diagnose
}

// Dial connects to the last hop of target through all before it, or over a ControlMaster of the user's that has a connection there. Each hop has
// its ConnectTimeout (10 s where unset) for TCP, again for the key exchange, and at least 30 s for authentication; where a person is asked, 110 s
// for all of it. progress may be nil; it may be called from any goroutine, and so may the caller's Ask.
//
// Errors wrap ErrHostUnresolvable, ErrUnreachable (also ErrBusy), ErrHostKey, ErrAuth or ErrForbidden, and mostly are a *HintedError. Those that a
// person could mend by an answer wrap ErrNeedsAuth too.
func (d *Dialer) Dial(ctx context.Context, target Target, caller Caller, progress func(string)) (*Conn, error) {
	return d.dialAs(ctx, target, &attempt{agents: []string{caller.AuthSock}, environ: caller.Environ, asker: askerOf(caller), progress: progress})
}

func (d *Dialer) dialAs(ctx context.Context, target Target, a *attempt) (*Conn, error) {
	if len(target.hops) == 0 {
		return nil, classified(ErrHostUnresolvable, errors.New("dial: the target has no hop"))
	}
	a.log, a.sockets = d.Log, d.Sockets
	if a.log == nil {
		a.log = hclog.NewNullLogger()
	}
	if a.progress == nil {
		a.progress = func(string) {}
	}
	last := &target.hops[len(target.hops)-1]
	conn, err := a.ride(ctx, last)
	a.exam.rode(ctx, last, err)
	switch {
	case err == nil:
		a.progress("going over the ControlMaster of " + last.name())
		a.log.Debug("ssh connection over a ControlMaster", "host", last.name(), "path", last.ControlPath)
		return conn, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("connect %s: %w", last.addr(), context.Cause(ctx))
	case !errors.Is(err, errNoMaster):
		a.log.Warn("ControlMaster not used", "host", last.name(), "path", last.ControlPath, "error", err)
	}
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
	look := a.exam.hop(ctx, hop, via, timeout)
	began := time.Now()
	nc, err := a.reach(ctx, hop, via, timeout)
	look.reached(ctx, time.Since(began), err)
	if err != nil {
		return nil, err
	}
	conn, err := a.handshake(ctx, hop, newWire(nc), timeout, look)
	if err != nil {
		return nil, err
	}
	conn.via = via
	a.log.Debug("ssh connection up", "host", hop.name(), "address", hop.addr(), "server", quoteRemote(string(conn.ssh.ServerVersion())),
		"took", time.Since(began).Round(time.Millisecond).String())
	return conn, nil
}

// wrapHinted puts an operation before an error and keeps its hint.
func wrapHinted(op string, err error) error {
	var h *HintedError
	if errors.As(err, &h) {
		return hinted(fmt.Errorf("%s: %w", op, err), h.Hint)
	}
	return fmt.Errorf("%s: %w", op, err)
}
