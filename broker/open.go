package broker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"
	"time"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/store"
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
	req := s.adapterRequest()
	if err := s.adapter.Check(req); err != nil {
		return err
	}
	var err error
	if r.listener, err = s.b.bind(s.req); err != nil {
		return err
	}
	s.cur.Local = r.listener.Addr().String()
	if err := s.connect(ctx, r); err != nil {
		return err
	}
	req.Host = adapters.Host{
		OS: r.facts.OS, Home: r.facts.Home, Path: r.facts.Path, OtherUsers: r.facts.OtherUsers, StreamLocal: s.b.streamLocal(s.req.Host),
	}
	if s.req.Host == "" && s.req.Caller.Path != "" {
		// On this machine the user means what their shell would run, virtual environments included.
		req.Host.Path = s.req.Caller.Path
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

// adapterRequest is the user's request as adapters see it.
func (s *session) adapterRequest() adapters.Request {
	c := s.b.config
	req := adapters.Request{
		Mode: adapters.Mode(s.cur.Mode), Program: s.req.Program, Port: s.req.Port, Cwd: s.req.Cwd, LocalCwd: s.req.LocalCwd, Env: s.req.Env,
		Interpreter: s.req.Interpreter, Wait: !s.req.NoWait, Stock: s.req.Stock,
	}
	switch s.adapter.Name() {
	case "python":
		req.Interpreters = c.Python.Interpreters
		req.Stock = req.Stock || c.Python.Stock
	case "go":
		req.Interpreters = nonEmpty(c.Go.Dlv)
	case "node":
		req.Interpreters = nonEmpty(c.Node.Node)
	case "java":
		req.Interpreters = nonEmpty(c.Java.Java)
	}
	return req
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// connect gets the host, cleans up what earlier sessions left there, and learns what it is.
func (s *session) connect(ctx context.Context, r *rig) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var err error
	if r.host, err = s.b.hosts.Connect(ctx, s.req.Host, s.req.Caller, s.say); err != nil {
		return err
	}
	for _, w := range r.host.Warnings() {
		s.warn(w)
	}
	s.say("looking at " + hostLabel(s.req.Host))
	if r.facts, err = s.b.hosts.Facts(ctx, r.host); err != nil {
		return err
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

// raise plans, starts and awaits the debug server, again where the plan's failures say that it may go better.
func (s *session) raise(ctx context.Context, r *rig, req adapters.Request) error {
	for {
		req.Random = random()
		err := s.raiseOnce(ctx, r, req)
		var again *againError
		if err == nil || !errors.As(err, &again) || req.Attempt+1 >= maxAttempts {
			return err
		}
		s.log.Info("start again", "attempt", req.Attempt+1, "reason", again.Error())
		if err := s.drop(ctx, r); err != nil {
			return fmt.Errorf("clean up attempt %d: %w", req.Attempt+1, err)
		}
		if again.noStreamLocal {
			s.b.denyStreamLocal(s.req.Host)
			req.Host.StreamLocal = false
		}
		req.Attempt++
	}
}

// againError says that another attempt may go better.
type againError struct {
	err           error
	noStreamLocal bool // unix sockets there cannot be reached
}

func (e *againError) Error() string { return e.err.Error() }
func (e *againError) Unwrap() error { return e.err }

func (s *session) raiseOnce(ctx context.Context, r *rig, req adapters.Request) error {
	if req.Mode == adapters.Launch {
		req.Workspace = path.Join(r.facts.TempDir, tunnel.NewWorkspaceName())
	}
	plan, err := s.adapter.Plan(req)
	if err != nil {
		return err
	}
	r.plan, r.network, r.address = plan, plan.Network, plan.Address
	s.cur.Server, s.cur.Cwd = plan.Server, plan.Cwd
	if len(plan.Program) > 0 {
		s.cur.Command = plan.Program
	}
	if len(s.req.Map) == 0 && s.req.LocalCwd != "" && plan.Cwd != "" {
		s.cur.Map = []api.PathMap{{Local: s.req.LocalCwd, Remote: plan.Cwd}}
	}
	for _, w := range plan.Warnings {
		s.warn(w)
	}
	s.publish()
	if req.Mode == adapters.Launch {
		if err := s.launch(ctx, r, req); err != nil {
			return err
		}
	}
	if err := s.inspect(ctx, r, req); err != nil {
		return err
	}
	return s.started(ctx, r)
}

// launch makes the workspace, starts the server in it and waits for its announcement.
func (s *session) launch(ctx context.Context, r *rig, req adapters.Request) error {
	e := store.Entry{ID: tunnel.NewWorkspaceName(), Session: s.id, Host: s.req.Host, Workspace: req.Workspace, Boot: r.facts.BootID, Created: time.Now().UTC()}
	if err := s.b.ledger.enter(e); err != nil {
		return err
	}
	r.entry = &e
	s.said = s.out.next()
	s.say("starting " + r.plan.Server)
	proc, err := s.start(ctx, r, req)
	if err != nil {
		return err
	}
	r.proc = proc
	pid := proc.ID().PID
	s.cur.PID = &pid
	s.log.Info("started", "pid", pid, "server", r.plan.Server)
	w := s.pump(ctx, r, proc)
	r.watchExit(ctx, proc)
	return s.awaitReady(ctx, r, w)
}

func (s *session) start(ctx context.Context, r *rig, req adapters.Request) (tunnel.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := r.host.MakeWorkspace(ctx, req.Workspace); err != nil {
		return nil, fmt.Errorf("make a private directory on %s: %w", hostLabel(s.req.Host), err)
	}
	for _, f := range r.plan.Files {
		if err := r.host.WriteFile(ctx, path.Join(req.Workspace, f.Name), f.Data, 0o600); err != nil {
			return nil, fmt.Errorf("write %s on %s: %w", f.Name, hostLabel(s.req.Host), err)
		}
	}
	env := r.plan.Env
	if s.req.Host == "" && s.req.Caller.Path != "" {
		env = append([]string{"PATH=" + s.req.Caller.Path}, env...) // --env PATH=… comes later and wins
	}
	cwd := r.plan.ServerCwd
	if cwd == "" {
		cwd = r.plan.Cwd
	}
	proc, err := r.host.Start(ctx, tunnel.Spec{
		Workspace: req.Workspace, Argv: r.plan.Argv, Env: env, Cwd: cwd, Spare: r.plan.Spare,
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", r.plan.Server, err)
	}
	return proc, nil
}

// drop undoes a start that failed, before another one: nothing of it stays, neither there nor in what is shown.
func (s *session) drop(ctx context.Context, r *rig) error {
	if r.entry != nil {
		left, err := s.b.ledger.reap(ctx, r.host, *r.entry)
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("still there: %q", left)
		}
		r.stopTasks(ctx)
	}
	r.entry, r.proc, r.exited, r.over, r.ending, r.drained = nil, nil, nil, nil, nil, nil
	r.plan, r.network, r.address, r.wsPath = adapters.Plan{}, "", "", ""
	s.cur.PID, s.cur.Remote = nil, ""
	return nil
}

func random() uint32 {
	var b [4]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return binary.BigEndian.Uint32(b[:])
}

func portOf(address string) (int, error) {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(p)
}
