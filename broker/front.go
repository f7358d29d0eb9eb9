package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/broker/peer"
	"github.com/debugbroker/debugbroker/broker/proxy"
	"github.com/debugbroker/debugbroker/tunnel/sshconfig"
)

// checkRequest refuses what no adapter and no host would get to see. brokerctl has looked at it already; others may use the API too.
func checkRequest(req api.OpenRequest) error {
	if req.LocalPort < 0 || req.LocalPort > 65535 {
		return apiErrorf(api.CodeUsage, "a port is 1 to 65535", "local port %d is none", req.LocalPort)
	}
	ways := 0
	for _, named := range []bool{len(req.Program) > 0, req.Port != 0, req.PID != 0, req.Match != "", req.Unit != ""} {
		if named {
			ways++
		}
	}
	switch {
	case ways > 1:
		return apiErrorf(api.CodeUsage, "leave all but one out", "several things to debug are given: a program, a port, a pid, an expression, a unit")
	case req.PID < 0:
		return apiErrorf(api.CodeUsage, "a process id is a positive number", "process id %d is none", req.PID)
	case req.Sudo && !attaches(req):
		return apiErrorf(api.CodeUsage, "it is for running processes", "sudo is asked for, and no running process is named")
	case req.Unit != "" && !unitName.MatchString(req.Unit): // systemctl would take a pattern or a path for other units
		return apiErrorf(api.CodeUsage, "give one unit's name, as systemctl list-units shows it", "--unit: %q is no unit's name", req.Unit)
	}
	if _, err := regexp.Compile(req.Match); err != nil {
		return apiErrorf(api.CodeUsage, "regular expressions as RE2 has them", "--match: %v", err)
	}
	if req.Host != "" {
		if err := sshconfig.CheckName(req.Host); err != nil {
			return err
		}
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
		AttachSet: r.plan.AttachSet, AttachDrop: r.plan.AttachDrop, NeverTerminate: r.plan.NeverTerminate,
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
