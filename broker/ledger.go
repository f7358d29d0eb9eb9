package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/store"
	"github.com/debugbroker/debugbroker/tunnel"
)

const (
	reapTimeout = 30 * time.Second // one clean-up of one workspace
	visitWait   = 30 * time.Second // one attempt to reach a host that has something of ours, and to clean up there
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
	fresh  map[string]bool          // hosts that were given up with something there since the janitor looked
	turns  map[string]chan struct{} // by host: holds one word while a replay works there
}

func newLedger(s *store.Store, h *Hosts, e *events, report func(session string, left []string), log hclog.Logger) *ledger {
	return &ledger{
		store: s, hosts: h, events: e, log: log, wake: make(chan struct{}, 1), report: report,
		active: make(map[string]bool), busy: make(map[string]bool), fresh: make(map[string]bool), turns: make(map[string]chan struct{}),
	}
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
	if e.Root {
		host = host.AsRoot()
	}
	left, err := host.Reap(ctx, e.Workspace)
	if err != nil {
		return nil, fmt.Errorf("clean up %s: %w", e.Workspace, err)
	}
	if len(left) > 0 {
		return left, nil
	}
	return nil, l.strike(e.ID)
}

// strike takes an entry off. It stops being its session's only then: a replay in between would find it in the store.
func (l *ledger) strike(id string) error {
	err := l.store.DeleteEntry(id)
	l.mu.Lock()
	delete(l.active, id)
	l.mu.Unlock()
	return err
}

// abandon hands an entry over to replays: its session has ended without being able to clean up.
func (l *ledger) abandon(e store.Entry) {
	l.mu.Lock()
	delete(l.active, e.ID)
	l.fresh[e.Host] = true
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// welcome has the janitor look at a host again: a person has let us in.
func (l *ledger) welcome(host string) {
	l.mu.Lock()
	l.fresh[host] = true
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
	for _, e := range entries {
		delete(l.busy, e.ID)
	}
	l.mu.Unlock()
}

// replay cleans up on a connected host what earlier sessions left there, whatever of it can be cleaned up.
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
	var failed error
	for _, e := range entries {
		left, err := l.reap(ctx, host, e)
		switch {
		case err != nil && (ctx.Err() != nil || lost(host)):
			return errors.Join(failed, err)
		case err != nil:
			failed = errors.Join(failed, err)
		case len(left) > 0:
			l.report(e.Session, left)
			l.events.add(e.Session, "left", fmt.Sprintf("still on %s: %q", hostLabel(e.Host), left))
		default:
			l.report(e.Session, nil)
			l.log.Info("cleaned up what an earlier session left", "host", e.Host, "session", e.Session)
			l.events.add(e.Session, "cleaned", "cleaned up on "+hostLabel(e.Host))
		}
	}
	return failed
}

// workspaces returns all that the ledger has, by path, and whether a session lives in it. The path tells a workspace on any host.
func (l *ledger) workspaces() (map[string]bool, error) {
	all, err := l.store.Entries()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	known := make(map[string]bool, len(all))
	for _, e := range all {
		known[e.Workspace] = l.active[e.ID]
	}
	return known, nil
}

// pending returns what a session still has on its host, as far as is known.
func (l *ledger) pending(session string) ([]string, error) {
	all, err := l.store.Entries()
	if err != nil {
		return nil, err
	}
	var left []string
	for _, e := range all {
		if e.Session == session {
			left = append(left, "workspace "+e.Workspace)
		}
	}
	return left, nil
}

// visit connects to a host for no other reason than to clean up there.
func (l *ledger) visit(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, visitWait)
	defer cancel()
	host, err := l.hosts.Connect(ctx, name, api.Caller{}, func(string) {})
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
