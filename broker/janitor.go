package broker

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/debugbroker/debugbroker/tunnel"
	"github.com/debugbroker/debugbroker/tunnel/sshconfig"
)

const (
	janitorMax    = 5 * time.Minute // between attempts
	janitorGiveUp = 24 * time.Hour  // after that only the next connect cleans up
)

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
	over        bool // there is no use in trying
	policy      *backoff.ExponentialBackOff
}

// needsUser tells whether only the user can make a host let us in. It is not asked again and again until then: servers lock out who
// keeps coming with keys that they refuse, and a key may want to be touched. The user's next connect cleans up.
func needsUser(err error) bool {
	return errors.Is(err, tunnel.ErrAuth) || errors.Is(err, tunnel.ErrHostKey) || errors.Is(err, sshconfig.ErrBadName)
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
	fresh := l.fresh
	l.fresh = make(map[string]bool)
	l.mu.Unlock()
	for name := range tries {
		if !pending[name] || fresh[name] {
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
		if t.over || now.Sub(t.first) > janitorGiveUp {
			continue
		}
		if l.hosts.NeedsAuth(name) {
			continue // welcome tells when that has changed
		}
		if !now.Before(t.next) {
			err := l.visit(ctx, name)
			if err != nil {
				l.log.Warn("clean-up is still pending", "host", name, "error", err)
			}
			t.over = needsUser(err)
			t.next = time.Now().Add(t.policy.NextBackOff())
		}
		wait = min(wait, time.Until(t.next))
	}
	return max(wait, 100*time.Millisecond)
}
