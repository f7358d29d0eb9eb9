package broker

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

const (
	connectTimeout = 45 * time.Second // name, hops, keys, all together
	probeTimeout   = 30 * time.Second
	startTimeout   = 20 * time.Second
	maxAttempts    = 5 // of plans that ask to be made again
)

// open brings a session to ready, or returns why not. What it has built by then is in r, for end to take down.
func (s *session) open(ctx context.Context, r *rig) error {
	req := s.b.adapterRequest(s.req, s.adapter)
	var err error
	if r.listener, err = s.b.bind(s.req); err != nil {
		return err
	}
	s.cur.Local = r.listener.Addr().String()
	if err := s.connect(ctx, r); err != nil {
		return err
	}
	req.Host = adapters.Host{
		OS: r.facts.OS, Home: r.facts.Home, Path: r.facts.Path, OtherUsers: r.facts.OtherUsers, StreamLocal: s.b.hosts.streamLocal(s.req.Host),
	}
	if s.req.Host == "" && s.req.Caller.Path != "" {
		// On this machine the user means what their shell would run, virtual environments included.
		req.Host.Path = s.req.Caller.Path
	}
	if err := s.choose(ctx, r, &req); err != nil {
		return err
	}
	if err := s.probe(ctx, r, &req); err != nil {
		return err
	}
	if err := s.raise(ctx, r, req); err != nil {
		return err
	}
	s.startProxy(ctx, r)
	r.watchProgram(ctx)
	if err := s.settle(ctx, r); err != nil {
		return err
	}
	s.b.rememberPort(s.req.Host, s.adapter.Name(), r.listener)
	return nil
}

// choose finds the process that the session is for, where it is for one, and takes root's rights where they are asked for.
func (s *session) choose(ctx context.Context, r *rig, req *adapters.Request) error {
	if req.Mode != adapters.Attach {
		return nil
	}
	login := r.host
	if s.req.Sudo && r.facts.UID != 0 {
		r.host, r.root = r.host.AsRoot(), true
	}
	var err error
	if r.target, err = s.target(ctx, r, login); err != nil {
		return err
	}
	if r.root {
		r.facts.UID = 0 // what is started there is root's
	}
	req.Target, req.Sudo = r.target, r.root
	s.hold(tunnel.ProcessID{Boot: r.facts.BootID, PID: r.target.PID, Start: r.target.Start})
	s.cur.PID = &r.target.PID
	s.publish()
	return nil
}

// adapterRequest is the user's request as adapters see it.
func (b *Broker) adapterRequest(r api.OpenRequest, a adapters.Adapter) adapters.Request {
	req := adapters.Request{
		Mode: mode(r), Program: r.Program, Port: r.Port, Cwd: r.Cwd, LocalCwd: r.LocalCwd, Env: r.Env,
		Interpreter: r.Interpreter, Wait: !r.NoWait, Stock: r.Stock,
	}
	req.Interpreters = b.interpreters(a.Name())
	if a.Name() == "python" {
		req.Stock = req.Stock || b.config.Python.Stock
	}
	return req
}

func mode(r api.OpenRequest) adapters.Mode {
	switch {
	case r.Port != 0:
		return adapters.Port
	case attaches(r):
		return adapters.Attach
	}
	return adapters.Launch
}

// interpreters are those that the configuration names for a language.
func (b *Broker) interpreters(lang string) []string {
	switch lang {
	case "python":
		return b.config.Python.Interpreters
	case "go":
		return nonEmpty(b.config.Go.Dlv)
	case "node":
		return nonEmpty(b.config.Node.Node)
	case "java":
		return nonEmpty(b.config.Java.Java)
	}
	return nil
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// connect gets the host, cleans up what earlier sessions left there, and learns what it is.
func (s *session) connect(ctx context.Context, r *rig) error {
	var ask tunnel.Ask
	if s.talk != nil {
		ask = s.talk.ask
	}
	ctx, ask, cancel := patient(ctx, connectTimeout, ask)
	defer cancel()
	var err error
	if r.host, err = s.b.hosts.ConnectAsking(ctx, s.req.Host, s.req.Caller, ask, s.say); err != nil {
		return late(ctx, err)
	}
	for _, w := range r.host.Warnings() {
		s.warn(w)
	}
	s.say("looking at " + hostLabel(s.req.Host))
	if r.facts, err = s.b.hosts.Facts(ctx, r.host); err != nil {
		return late(ctx, err)
	}
	if err := s.b.ledger.replay(ctx, r.host); err != nil {
		s.log.Warn("clean up after earlier sessions", "error", err)
	}
	return nil
}

// probe asks the host what the adapter wants to know.
func (s *session) probe(ctx context.Context, r *rig, req *adapters.Request) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	s.say("looking for the " + s.adapter.Name() + " debug server")
	req.Facts = make(map[string]string)
	for _, c := range s.adapter.Probe(*req) {
		res, err := r.host.Run(ctx, c.Script)
		if err != nil {
			return fmt.Errorf("probe %s: %w", hostLabel(s.req.Host), err)
		}
		s.log.Debug("probe", "key", c.Key, "code", res.Code, "stderr", string(res.Stderr))
		req.Facts[c.Key] = string(res.Stdout)
	}
	return nil
}

func portOf(address string) (int, error) {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(p)
}
