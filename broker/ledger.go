package broker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/go-hclog"

	"github.com/debugbroker/debugbroker/store"
	"github.com/debugbroker/debugbroker/tunnel"
)

const (
	reapTimeout   = 30 * time.Second // one clean-up of one workspace
	janitorWait   = 30 * time.Second // one attempt to reach a host that has something of ours
	janitorMax    = 5 * time.Minute  // between attempts
	janitorGiveUp = 24 * time.Hour   // after that only the next connect cleans up
)

// ledger is what may lie on hosts of ours: a record is in the store before anything is made there, and leaves it when a look at the
// host has shown that it is gone.
type ledger struct {
	store  *store.Store
	hosts  *Hosts
	events *events
	log    hclog.Logger
	wake   chan struct{} // the janitor looks again
	// report is told what a replay has found left of a session that is over, in the end nothing.
	report func(session string, left []string)

	mu     sync.Mutex
	active map[string]bool          // entries whose session lives: not to be reaped by a replay
	busy   map[string]bool          // entries that a replay works on now
	turns  map[string]chan struct{} // by host: holds one word while a replay works there
}

func newLedger(s *store.Store, h *Hosts, e *events, log hclog.Logger) *ledger {
	return &ledger{store: s, hosts: h, events: e, log: log, wake: make(chan struct{}, 1), active: make(map[string]bool), busy: make(map[string]bool), turns: make(map[string]chan struct{})}
}

// enter writes down that a session is about to make a workspace.
func (l *ledger) enter(e store.Entry) error {
	l.mu.Lock()
	l.active[e.ID] = true
	l.mu.Unlock()
	if err := l.store.PutEntry(e); err != nil {
		l.mu.Lock()
		delete(l.active, e.ID)
		l.mu.Unlock()
		return fmt.Errorf("write the clean-up ledger: %w", err)
	}
	return nil
}

// reap cleans one workspace up over a live host and strikes its entry off when nothing is left.
func (l *ledger) reap(ctx context.Context, host tunnel.Host, e store.Entry) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, reapTimeout)
	defer cancel()
	left, err := host.Reap(ctx, e.Workspace)
	if err != nil {
		return nil, fmt.Errorf("clean up %s: %w", e.Workspace, err)
	}
	if len(left) > 0 {
		return left, nil
	}
	return nil, l.strike(e.ID)
}

func (l *ledger) strike(id string) error {
	l.mu.Lock()
	delete(l.active, id)
	l.mu.Unlock()
	return l.store.DeleteEntry(id)
}

// abandon hands an entry over to replays: its session has ended without being able to clean up.
func (l *ledger) abandon(e store.Entry) {
	l.mu.Lock()
	delete(l.active, e.ID)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// claim returns the entries of a host that nobody works on, and marks them as worked on.
func (l *ledger) claim(host string) ([]store.Entry, error) {
	all, err := l.store.Entries()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var mine []store.Entry
	for _, e := range all {
		if e.Host == host && !l.active[e.ID] && !l.busy[e.ID] {
			l.busy[e.ID] = true
			mine = append(mine, e)
		}
	}
	return mine, nil
}

func (l *ledger) unclaim(entries []store.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		delete(l.busy, e.ID)
	}
}

// replay cleans up on a host that has just been connected to what earlier sessions left there.
//
// One replay at a time works on a host: who comes second finds done what the first did.
func (l *ledger) replay(ctx context.Context, host tunnel.Host) error {
	l.mu.Lock()
	turn := l.turns[host.Name()]
	if turn == nil {
		turn = make(chan struct{}, 1)
		l.turns[host.Name()] = turn
	}
	l.mu.Unlock()
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	entries, err := l.claim(host.Name())
	if err != nil || len(entries) == 0 {
		return err
	}
	defer l.unclaim(entries)
	for _, e := range entries {
		left, err := l.reap(ctx, host, e)
		switch {
		case err != nil:
			return err
		case len(left) > 0:
			l.report(e.Session, left)
			l.events.add(e.Session, "left", fmt.Sprintf("still on %s: %q", hostLabel(e.Host), left))
		default:
			l.report(e.Session, nil)
			l.log.Info("cleaned up what an earlier session left", "host", e.Host, "session", e.Session)
			l.events.add(e.Session, "cleaned", "cleaned up on "+hostLabel(e.Host))
		}
	}
	return nil
}

// pending tells whether a session still has something on its host.
func (l *ledger) pending(session string) (bool, error) {
	all, err := l.store.Entries()
	if err != nil {
		return false, err
	}
	for _, e := range all {
		if e.Session == session {
			return true, nil
		}
	}
	return false, nil
}

// run is the janitor: it tries the hosts that have something of ours, at once and then ever more rarely.
func (l *ledger) run(ctx context.Context) {
	tries := make(map[string]*attempt)
	for {
		next := l.sweep(ctx, tries)
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-l.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// attempt is when a host is tried next.
type attempt struct {
	first, next time.Time
	policy      *backoff.ExponentialBackOff
}

// sweep tries each host whose time has come, and returns how long nothing is to be done.
func (l *ledger) sweep(ctx context.Context, tries map[string]*attempt) time.Duration {
	entries, err := l.store.Entries()
	if err != nil {
		l.log.Error("read the clean-up ledger", "error", err)
		return janitorMax
	}
	pending := make(map[string]bool)
	l.mu.Lock()
	for _, e := range entries {
		if !l.active[e.ID] && !l.busy[e.ID] {
			pending[e.Host] = true
		}
	}
	l.mu.Unlock()
	for name := range tries {
		if !pending[name] {
			delete(tries, name)
		}
	}
	wait := time.Hour
	for name := range pending {
		now := time.Now()
		t := tries[name]
		if t == nil {
			p := backoff.NewExponentialBackOff()
			p.InitialInterval, p.MaxInterval = 2*time.Second, janitorMax
			t = &attempt{first: now, next: now, policy: p}
			tries[name] = t
		}
		if now.Sub(t.first) > janitorGiveUp {
			continue
		}
		if !now.Before(t.next) {
			if err := l.visit(ctx, name); err != nil {
				l.log.Warn("clean-up is still pending", "host", name, "error", err)
			}
			t.next = time.Now().Add(t.policy.NextBackOff())
		}
		wait = min(wait, time.Until(t.next))
	}
	return max(wait, 100*time.Millisecond)
}

// visit connects to a host for no other reason than to clean up there.
func (l *ledger) visit(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, janitorWait)
	defer cancel()
	host, err := l.hosts.Connect(ctx, name, func(string) {})
	if err != nil {
		return err
	}
	defer host.Release()
	return l.replay(ctx, host)
}

// hostLabel is a host's name in sentences.
func hostLabel(name string) string {
	if name == "" {
		return "this machine"
	}
	return name
}
