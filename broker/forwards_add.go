package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs"
	"github.com/debugbroker/debugbroker/store"
	"github.com/debugbroker/debugbroker/tunnel"
	"github.com/debugbroker/debugbroker/tunnel/sshconfig"
)

// add keeps the forwards that a request asks for, and returns them in its order when it is known what becomes of them. One that could not
// listen has no name, and is not kept; where the ssh configuration says ExitOnForwardFailure none is then. A host that cannot be reached
// is waited for.
func (m *forwards) add(ctx context.Context, req api.ForwardRequest) ([]api.Forward, error) {
	specs, err := parseForwards(req)
	if err != nil {
		return nil, err
	}
	target, _, err := m.hosts.resolve(ctx, req.Host, req.Caller)
	if err != nil {
		return nil, fmt.Errorf("forward through %s: %w", req.Host, err)
	}
	ctx, cancel := context.WithTimeout(ctx, forwardWait)
	defer cancel()
	var asked, ours []*forward // all, and those that were not there before
	for _, spec := range specs {
		w := wanted{host: req.Host, spec: spec, sameUser: req.SameUser, source: byCommand, created: time.Now().UTC()}
		f, isNew, err := m.enroll(ctx, w, req.Name, true)
		if err != nil {
			m.dropAll(ours)
			return nil, err
		}
		asked = append(asked, f)
		if isNew {
			ours = append(ours, f)
		}
		m.start(f)
	}
	failures, away := m.settle(ctx, req, asked, ours)
	if err := ctxCause(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		m.dropAll(ours) // whoever asked has gone
		return nil, err
	}
	if err := allFailed(asked, failures, target.Last().ExitOnForwardFailure); err != nil {
		m.dropAll(ours)
		return nil, err
	}
	out := make([]api.Forward, 0, len(asked))
	for _, f := range asked {
		v := f.view()
		if err := failures[f]; err != nil {
			v.State, v.Error = api.ForwardFailed, asAPI(err)
			if slices.Contains(ours, f) {
				v.Name = ""
				m.drop(f)
			}
		} else if slices.Contains(ours, f) {
			if err := m.keep(f); err != nil {
				m.dropAll(ours)
				return nil, err
			}
		}
		if v.State == api.ForwardWaiting && v.Error == nil && away != nil {
			v.Error = waitError(f.host, tunnel.KeeperStatus{Err: away})
		}
		out = append(out, v)
	}
	return out, nil
}

// keep has a forward outlive the daemon.
func (m *forwards) keep(f *forward) error {
	if err := m.store.PutForward(f.record()); err != nil {
		return fmt.Errorf("keep the forward: %w", err)
	}
	f.rememberFarPort()
	m.mu.Lock()
	f.kept = true
	m.mu.Unlock()
	m.changed() // there may be something to tell of it
	return nil
}

// settle waits until the forwards listen, and their host has answered or is known not to. It returns why some are not to be kept, and why
// the host cannot be reached now.
func (m *forwards) settle(ctx context.Context, req api.ForwardRequest, asked, ours []*forward) (failures map[*forward]error, away error) {
	failures = make(map[*forward]error)
	for _, f := range asked {
		if err := m.bound(ctx, f); err != nil {
			failures[f] = err
		}
	}
	if len(failures) == len(asked) {
		return failures, nil
	}
	host, err := m.hosts.Connect(ctx, req.Host, req.Caller, func(string) {})
	switch {
	case err == nil:
		defer host.Release()
		m.lookHere(ctx, host, ours)
	case !worthWaiting(err):
		for _, f := range asked {
			failures[f] = err
		}
		return failures, nil
	}
	for _, f := range ours {
		if failures[f] == nil && m.loops(f) {
			failures[f] = errLoop(f)
		}
	}
	link := asked[0].link
	link.begin()
	if link.keeper.Status().State != tunnel.LinkUp {
		link.keeper.Retry()
	}
	if err != nil {
		return failures, err
	}
	for _, f := range asked {
		if failures[f] == nil {
			if err := m.settled(ctx, f); err != nil {
				failures[f] = err
			}
		}
	}
	return failures, nil
}

// worthWaiting tells whether a host that did not let us in may do so by and by, without anybody's help.
func worthWaiting(err error) bool {
	if errors.Is(err, tunnel.ErrAuth) || errors.Is(err, tunnel.ErrHostKey) || errors.Is(err, tunnel.ErrNeedsAuth) || errors.Is(err, sshconfig.ErrBadName) {
		return false
	}
	return errors.Is(err, tunnel.ErrUnreachable) || errors.Is(err, tunnel.ErrHostUnresolvable) || errors.Is(err, tunnel.ErrLinkLost) ||
		errors.Is(err, context.DeadlineExceeded)
}

// allFailed is the error for when nothing of a request is kept.
func allFailed(asked []*forward, failures map[*forward]error, allOrNothing bool) error {
	if len(failures) == 0 || len(failures) < len(asked) && !allOrNothing {
		return nil
	}
	for _, f := range asked {
		if err := failures[f]; err != nil {
			return err
		}
	}
	return nil
}

// bound waits until a forward listens here, or has failed to. One that failed before, and is tried again now and then, is tried now.
func (m *forwards) bound(ctx context.Context, f *forward) error {
	tries := f.tries.Load()
	if tries > 0 {
		f.tryNow()
	}
	for {
		seen := m.tracker.Version()
		m.mu.Lock()
		c, err := f.carrier, f.err
		m.mu.Unlock()
		if c != nil {
			return nil
		}
		if f.tries.Load() > tries {
			return err
		}
		if err := m.tracker.Wait(ctx, seen); err != nil {
			return err
		}
	}
}

// settled waits until a forward whose host answers is up, or failed: a remote one may be refused there. Where neither is known in time it
// is kept.
func (m *forwards) settled(ctx context.Context, f *forward) error {
	for {
		seen := m.tracker.Version()
		switch v := f.view(); v.State {
		case api.ForwardUp:
			m.looked(ctx, f)
			return nil
		case api.ForwardFailed:
			if v.Error != nil {
				return v.Error
			}
		}
		if m.tracker.Wait(ctx, seen) != nil {
			return nil
		}
	}
}

// looked waits until it is known where the host's server really listens for a remote forward, so that who asked for it is told.
func (m *forwards) looked(ctx context.Context, f *forward) {
	if f.local() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, farLook)
	defer cancel()
	for {
		seen := m.tracker.Version()
		m.mu.Lock()
		c := f.carrier
		m.mu.Unlock()
		if c == nil {
			return
		}
		if st := c.Status(); st.Looked || st.State != tunnel.ForwardUp || m.tracker.Wait(ctx, seen) != nil {
			return
		}
	}
}

// enroll finds the forward that is wanted, or takes it into the list.
func (m *forwards) enroll(ctx context.Context, w wanted, name string, fresh bool) (f *forward, isNew bool, err error) {
	for {
		m.mu.Lock()
		i := slices.IndexFunc(m.all, func(o *forward) bool { return o.key() == w.key() })
		switch {
		case m.closed:
			m.mu.Unlock()
			return nil, false, errShutdown
		case i < 0 && len(m.all) >= maxForwards:
			m.mu.Unlock()
			return nil, false, apiErrorf(api.CodePolicy, "remove some: brokerctl unforward NAME", "there are %d forwards, and that is the limit", maxForwards)
		case i < 0:
			f := &forward{
				wanted: w, m: m, name: m.freeName(w, name), fresh: fresh, kept: !fresh,
				done: make(chan struct{}), gone: make(chan struct{}), now: make(chan struct{}, 1), since: time.Now(),
			}
			f.link = m.join(w.host)
			m.all = append(m.all, f)
			m.mu.Unlock()
			return f, true, nil
		}
		f, ending := m.all[i], m.all[i].ending
		m.mu.Unlock()
		if !ending {
			return f, false, nil
		}
		select {
		case <-f.gone:
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
}

func (m *forwards) dropAll(fs []*forward) {
	for _, f := range fs {
		m.drop(f)
	}
}

func ctxCause(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// parseForwards reads what is asked for. What it returns is usage errors.
func parseForwards(req api.ForwardRequest) ([]tunnel.ForwardSpec, error) {
	switch {
	case req.Host == "":
		return nil, apiErrorf(api.CodeUsage, "give the host as ssh takes it", "a forward needs a host")
	case len(req.Forwards) == 0:
		return nil, apiErrorf(api.CodeUsage, "give -L, -R or -D, as to ssh", "nothing to forward")
	}
	if req.Name != "" {
		if problem := configs.ForwardName(req.Name); problem != "" {
			return nil, apiErrorf(api.CodeUsage, "give a short name", "the forward's name %s", problem)
		}
	}
	specs := make([]tunnel.ForwardSpec, 0, len(req.Forwards))
	for _, s := range req.Forwards {
		spec, err := parseForward(s.Kind, s.Spec)
		if err != nil {
			return nil, err
		}
		if req.SameUser && spec.Kind == tunnel.ForwardRemote {
			return nil, apiErrorf(api.CodeUsage, "leave --same-user out, or -R", "who connects on %s cannot be told", req.Host)
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

func parseForward(kind, text string) (tunnel.ForwardSpec, error) {
	k := tunnel.ForwardKind(kind)
	if !slices.Contains([]tunnel.ForwardKind{tunnel.ForwardLocal, tunnel.ForwardRemote, tunnel.ForwardSocks}, k) {
		return tunnel.ForwardSpec{}, apiErrorf(api.CodeUsage, "local, remote or socks", "there are no forwards of the kind %q", kind)
	}
	spec, err := tunnel.ParseForward(k, text)
	if err != nil {
		hint := "it is as ssh has it: [bind_address:]port:host:hostport, or paths of unix sockets"
		var at *tunnel.SpecError
		if errors.As(err, &at) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			hint = at.Caret() + "\n" + hint
		}
		return spec, apiErrorf(api.CodeUsage, hint, "%v", err)
	}
	return spec, nil
}

func hintOf(err error) string {
	var he *tunnel.HintedError
	if errors.As(err, &he) {
		return he.Hint
	}
	return ""
}

// record is what the store keeps of a forward.
func (f *forward) record() store.Forward {
	return store.Forward{
		Name: f.name, Host: f.host, Kind: string(f.spec.Kind), Listen: store.Endpoint(f.spec.Listen), Target: store.Endpoint(f.spec.Target),
		SameUser: f.sameUser, Created: f.created,
	}
}
