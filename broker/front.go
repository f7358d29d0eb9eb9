package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/broker/peer"
	"github.com/debugbroker/debugbroker/broker/proxy"
)

// settleTime is how long a program that runs at once is watched before its session counts as ready, where the plan does not say.
const settleTime = 500 * time.Millisecond

// overTime is how long the exit of a program may take that has said that it is ending. Threads of its own may keep it alive.
const overTime = 3 * time.Second

// checkRequest refuses what no adapter and no host would get to see. brokerctl has looked at it already; others may use the API too.
func checkRequest(req api.OpenRequest) error {
	if req.LocalPort < 0 || req.LocalPort > 65535 {
		return apiErrorf(api.CodeUsage, "a port is 1 to 65535", "local port %d is none", req.LocalPort)
	}
	for _, kv := range req.Env {
		if name, _, ok := strings.Cut(kv, "="); !ok || name == "" { // the text may be a secret
			return apiErrorf(api.CodeUsage, "give NAME=VALUE", "an environment variable without a name or a '='")
		}
	}
	return nil
}

// bind takes the session's local port: the one asked for, else the one that this host and language had before, else a free one.
func (b *Broker) bind(req api.OpenRequest) (net.Listener, error) {
	if req.LocalPort != 0 {
		l, err := listenLocal(req.LocalPort)
		if err != nil {
			return nil, portBusy(req.LocalPort, err)
		}
		return l, nil
	}
	if port, err := b.store.Port(req.Host, req.Lang); err == nil && port != 0 {
		if l, err := listenLocal(port); err == nil {
			return l, nil
		}
	}
	l, err := listenLocal(0)
	if err != nil {
		return nil, fmt.Errorf("listen on 127.0.0.1: %w", err)
	}
	return l, nil
}

func listenLocal(port int) (net.Listener, error) {
	return net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

func portBusy(port int, err error) error {
	why := err.Error()
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		why = "something listens on it already"
	case errors.Is(err, syscall.EACCES):
		why = "only root may listen on it"
	}
	return apiErrorf(api.CodePortBusy, "give another --local-port, or none: then a free one is taken", "local port %d: %s", port, why)
}

// rememberPort lets the next session of this host and language have the same port.
func (b *Broker) rememberPort(host, lang string, l net.Listener) {
	port, err := portOf(l.Addr().String())
	if err == nil {
		err = b.store.SetPort(host, lang, port)
	}
	if err != nil {
		b.log.Warn("remember the local port", "error", err)
	}
}

// startProxy lets front ends in.
func (s *session) startProxy(ctx context.Context, r *rig) {
	cfg := proxy.Config{
		Listener: r.listener, Protocol: string(r.plan.Protocol), RPC: r.plan.RPC, OneClient: r.plan.OneClient,
		Dial: r.dial, WSPath: strings.TrimPrefix(r.wsPath, "/"), Title: s.title(), SameUser: peer.SameUser,
		OnClients: s.notifyClients,
		OnEvent:   func(kind, text string) { s.b.events.add(s.id, kind, text) },
		Log:       s.log,
	}
	if f := r.plan.BeforeFirst; f != nil {
		cfg.BeforeFirst = func(ctx context.Context) error { return f(ctx, r.dial) }
	}
	if f := r.plan.AfterLast; f != nil {
		cfg.AfterLast = func(ctx context.Context) error { return f(ctx, r.dial) }
	}
	p := proxy.New(cfg)
	pctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	r.guarded(func() {
		defer close(ended)
		if err := p.Run(pctx); err != nil && pctx.Err() == nil {
			s.log.Error("local port", "error", err)
			s.cancel(fmt.Errorf("serve the local port: %w", err))
		}
	})
	r.proxy = p
	r.proxyEnd = func() {
		cancel()
		<-ended
	}
}

// title is what lists of debug targets show.
func (s *session) title() string {
	if len(s.cur.Command) > 0 {
		return hostLabel(s.req.Host) + ": " + s.cur.Command[len(s.cur.Command)-1]
	}
	return hostLabel(s.req.Host)
}

// settle watches a program that runs at once for a moment: one that ends in it could not have been debugged.
func (s *session) settle(ctx context.Context, r *rig) error {
	if !s.req.NoWait || r.proc == nil {
		return nil
	}
	moment := r.plan.Ready.Settle
	if moment == 0 {
		moment = settleTime
	}
	t := time.NewTimer(moment)
	defer t.Stop()
	var e ended
	ok := true
	for over, waiting := r.over, true; waiting; {
		waiting = false
		select {
		case e = <-r.exited:
		case e, ok = <-r.watched:
		case <-over:
			over, waiting = nil, true
			t.Reset(overTime)
		case <-t.C:
			return nil
		case <-r.host.Done():
			return r.host.Err()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	switch {
	case !ok: // it is no more watched since the host is gone
		return r.host.Err()
	case e.err != nil:
		return e.err
	}
	s.cur.Exit = e.api()
	if e.server {
		waitFor(ctx, r.drained, lastWordsWait) // its last words come by other ways than its exit
	}
	return apiErrorf(api.CodeProgramEnded, hintPrinted+"; without --no-wait it waits for the front end before it runs", "the program ended at once with %s", describeExit(*s.cur.Exit))
}
