package broker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/store"
	"github.com/debugbroker/debugbroker/tunnel"
)

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
			s.b.hosts.denyStreamLocal(s.req.Host)
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
	if req.Mode != adapters.Port {
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
	if len(plan.Argv) > 0 {
		if err := s.launch(ctx, r, req); err != nil {
			return err
		}
	}
	if err := s.inspect(ctx, r, req); err != nil {
		return err
	}
	if err := s.started(ctx, r); err != nil {
		return err
	}
	if req.Mode == adapters.Attach && !r.plan.Stands {
		return s.sameTarget(ctx, r)
	}
	return nil
}

// launch makes the workspace, starts the server in it and waits for its announcement.
func (s *session) launch(ctx context.Context, r *rig, req adapters.Request) error {
	e := store.Entry{ID: tunnel.NewWorkspaceName(), Session: s.id, Host: s.req.Host, Workspace: req.Workspace, Boot: r.facts.BootID, Root: r.root, Created: time.Now().UTC()}
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
	s.hold(proc.ID())
	pid := proc.ID().PID
	if req.Mode == adapters.Launch {
		s.cur.PID = &pid
	}
	s.log.Info("started", "pid", pid, "server", r.plan.Server)
	w := s.pump(ctx, r, proc)
	r.watchExit(ctx, proc)
	if err := s.awaitReady(ctx, r, w); err != nil {
		return err
	}
	if r.root && r.network == "unix" {
		hctx, cancel := context.WithTimeout(ctx, startTimeout)
		defer cancel()
		return r.host.HandOver(hctx, req.Workspace, r.address)
	}
	return nil
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
	s.cur.Remote = ""
	if s.cur.Mode == string(adapters.Launch) {
		s.cur.PID = nil
	}
	return nil
}

func random() uint32 {
	var b [4]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return binary.BigEndian.Uint32(b[:])
}
