package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs"
	"github.com/debugbroker/debugbroker/store"
)

const (
	maxSessions = 256 // alive at once
	maxTTL      = 30 * 24 * time.Hour
)

// Options is what a Broker is made of.
type Options struct {
	Config   configs.Config
	Store    *store.Store
	Hosts    *Hosts
	Adapters []adapters.Adapter
	Log      hclog.Logger
	Info     api.DaemonInfo
}

// Broker owns the sessions and the forwards. Run is its life; everything else may be called from any goroutine while it runs.
type Broker struct {
	config   configs.Config
	store    *store.Store
	hosts    *Hosts
	adapters []adapters.Adapter
	log      hclog.Logger
	info     api.DaemonInfo
	ledger   *ledger
	forwards *forwards
	events   events
	prompts  prompts
	tracker  Tracker // some session has changed
	now      func() time.Time
	stopping chan struct{} // somebody has asked for the daemon's end
	stopOnce sync.Once
	over     chan struct{} // the last session has ended, and there will be no more

	mu       sync.Mutex
	sessions map[string]*session
}

// New returns a Broker; nothing happens before Run.
func New(o Options) *Broker {
	b := &Broker{
		config: o.Config, store: o.Store, hosts: o.Hosts, adapters: o.Adapters, log: o.Log, info: o.Info,
		now: time.Now, stopping: make(chan struct{}), over: make(chan struct{}), sessions: make(map[string]*session),
	}
	b.ledger = newLedger(o.Store, o.Hosts, &b.events, b.reportLeft, o.Log.Named("ledger"))
	b.forwards = newForwards(o.Config, o.Store, o.Hosts, &b.events, o.Log.Named("forwards"))
	o.Hosts.whenNeeded(func(name string, err error) {
		b.events.add("", "needs-auth", hostLabel(name)+" needs a person (brokerctl auth "+name+"): "+err.Error())
	})
	o.Hosts.forwardsAgent = o.Config.ForwardsAgent
	o.Hosts.WhenAuthenticated(b.ledger.welcome)
	o.Hosts.WhenAuthenticated(b.forwards.retry)
	return b
}

// Run keeps the sessions until ctx is done; it closes them and cleans up before it returns. Recover comes before it.
func (b *Broker) Run(ctx context.Context) error {
	jctx, stopJanitor := context.WithCancel(ctx)
	defer stopJanitor()
	var tasks sync.WaitGroup
	tasks.Go(func() { b.ledger.run(jctx) })
	tasks.Go(func() { b.prune(jctx) })
	tasks.Go(func() { b.forwards.takeSSHForwards(ctx) })
	tasks.Go(func() { b.forwards.run(ctx) })
	<-ctx.Done()
	b.Stop() // before the sessions are counted: from here on Open makes none
	b.mu.Lock()
	open := make([]*session, 0, len(b.sessions))
	for _, s := range b.sessions {
		open = append(open, s)
	}
	b.mu.Unlock()
	for _, s := range open {
		s.cancel(errShutdown)
	}
	for _, s := range open {
		<-s.done // bounded: see session.end
	}
	close(b.over)
	tasks.Wait()
	return nil
}

// Stop asks for the daemon's end; Stopping tells when somebody has.
func (b *Broker) Stop() { b.stopOnce.Do(func() { close(b.stopping) }) }

// Stopping is closed once Stop was called.
func (b *Broker) Stopping() <-chan struct{} { return b.stopping }

// Open starts a session and returns at once. The session goes on until something ends it. What is refused for what was asked, before a host has to
// do with it, is no session: nothing of it is listed.
func (b *Broker) Open(req api.OpenRequest) (*session, error) {
	a, ok := adapters.Lookup(b.adapters, req.Lang)
	if !ok {
		return nil, b.unknownLanguage(req.Lang)
	}
	req.Lang = a.Name()
	switch {
	case req.TTL == 0:
		req.TTL = b.config.Session.TTL
	case req.TTL < 0 || req.TTL > maxTTL:
		return nil, apiErrorf(api.CodeUsage, "give a time like 30m or 8h", "time limit %s is not between 0 and %s", req.TTL, maxTTL)
	}
	if err := checkRequest(req); err != nil {
		return nil, err
	}
	if err := a.Check(b.adapterRequest(req, a)); err != nil {
		return nil, err
	}
	b.hosts.Remember(req.Caller)
	s, ctx, err := b.enroll(req, a)
	if err != nil {
		return nil, err
	}
	b.events.add(s.id, "opening", a.Name()+" on "+hostLabel(req.Host))
	b.keep(s.view.Load())
	go s.run(ctx) // Run waits for done
	return s, nil
}

// enroll makes the session and counts it in, unless the daemon is ending or has as many as it takes. ctx is the session's.
func (b *Broker) enroll(req api.OpenRequest, a adapters.Adapter) (*session, context.Context, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.stopping:
		return nil, nil, asAPI(errShutdown)
	default:
	}
	alive := 0
	for _, s := range b.sessions {
		if !s.view.Load().Phase.Ended() {
			alive++
		}
	}
	if alive >= maxSessions {
		return nil, nil, apiErrorf(api.CodePolicy, "close some: brokerctl close ID", "%d sessions are open, and that is the limit", alive)
	}
	id := newID(func(id string) bool { return b.sessions[id] != nil })
	ctx, cancel := context.WithCancelCause(context.Background()) // its life is its own: Run cancels it by the session's cancel
	s := newSession(b, id, req, a, cancel)
	b.sessions[id] = s
	return s, ctx, nil
}

// find returns a session of this daemon's life, or the record of an earlier one.
func (b *Broker) find(id string) (*session, *api.Session, error) {
	b.mu.Lock()
	s := b.sessions[id]
	b.mu.Unlock()
	if s != nil {
		return s, nil, nil
	}
	rec, err := b.store.Session(id)
	switch {
	case err == nil:
		if v, err := decodeView(rec); err == nil {
			return nil, &v, nil
		}
	case !errors.Is(err, store.ErrNotFound):
		return nil, nil, err
	}
	return nil, nil, apiErrorf(api.CodeUnknownSession, "brokerctl list --all shows the sessions", "no session %q", id)
}

// Sessions returns the sessions, oldest first; those that have ended too where all is set.
func (b *Broker) Sessions(all bool) ([]api.Session, error) {
	b.mu.Lock()
	live := make(map[string]*session, len(b.sessions))
	for id, s := range b.sessions {
		live[id] = s
	}
	b.mu.Unlock()
	out := []api.Session{}
	for _, s := range live {
		if v := s.snapshot(); all || !v.Phase.Ended() {
			out = append(out, v)
		}
	}
	if all {
		recs, err := b.store.Sessions()
		if err != nil {
			return nil, err
		}
		for _, rec := range recs {
			if live[rec.ID] != nil {
				continue
			}
			if v, err := decodeView(rec); err == nil {
				out = append(out, v)
			}
		}
	}
	slices.SortFunc(out, func(x, y api.Session) int {
		if c := x.Created.Compare(y.Created); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
	return out, nil
}

// Close ends a session and waits until its host is clean or known not to be.
func (b *Broker) Close(ctx context.Context, id string) (api.Closed, error) {
	s, old, err := b.find(id)
	if err != nil {
		return api.Closed{}, err
	}
	var v api.Session
	silent := false
	if s != nil {
		ended := s.view.Load().Phase.Ended()
		s.cancel(errClosed)
		select {
		case <-s.done:
		case <-ctx.Done():
			return api.Closed{}, context.Cause(ctx)
		}
		v = s.snapshot()
		silent = s.silent && !ended
	} else {
		v = *old
	}
	out := api.Closed{ID: id, Left: []string{}}
	pending, err := b.ledger.pending(id)
	if err != nil || len(pending) == 0 {
		if err == nil && v.Phase.Ended() && len(v.Left) > 0 {
			out.Left = v.Left
			if s != nil && len(v.Left) > len(s.leaves) { // more than what nobody can remove
				out.Error = leftOver(v)
			}
		}
		return out, err
	}
	if out.Left = v.Left; len(out.Left) == 0 {
		out.Left = pending
	}
	if silent { // a moment ago; the janitor tries again, and close may be asked again
		out.Error = apiErrorf(api.CodeUnreachable, "it is cleaned up when the host answers again", "clean-up is pending: %s does not answer", hostLabel(v.Host))
		return out, nil
	}
	// Something is still there: a further try, for which the host may have to be connected to again.
	if err := b.ledger.visit(ctx, v.Host); err != nil {
		out.Error = asAPI(fmt.Errorf("clean-up is pending: %w", err))
		return out, nil
	}
	if pending, err = b.ledger.pending(id); err != nil || len(pending) == 0 {
		out.Left = []string{}
		return out, err
	}
	if s != nil {
		v = s.snapshot() // what that try has found
	}
	if out.Left = v.Left; len(out.Left) == 0 {
		out.Left = pending
	}
	out.Error = leftOver(api.Session{Host: v.Host, Left: out.Left})
	return out, nil
}

func leftOver(v api.Session) *api.Error {
	return apiErrorf(api.CodeCleanUp, "remove it by hand there, and close the session again", "left on %s: %s", hostLabel(v.Host), strings.Join(v.Left, ", "))
}

func (b *Broker) unknownLanguage(name string) *api.Error {
	var known []string
	for _, a := range b.adapters {
		known = append(known, a.Name())
	}
	return apiErrorf(api.CodeUsage, "languages: "+strings.Join(known, ", "), "unknown language %q", name)
}
