package broker

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/store"
)

const (
	keepEnded = 24 * time.Hour // sessions that have ended are listed for so long
	// Of those the newest stay in memory, with what they printed; the others are read from their records.
	maxEnded       = 256
	maxEndedOutput = 64 << 20 // bytes
)

// keep writes a session's record; that it fails is logged: the session is worth more than its record.
func (b *Broker) keep(v *api.Session) {
	view, err := json.Marshal(v)
	if err == nil {
		err = b.store.PutSession(store.Session{
			ID: v.ID, Host: v.Host, Lang: v.Lang, Mode: v.Mode, Phase: string(v.Phase), Local: v.Local, Program: v.Command,
			Cwd: v.Cwd, Created: v.Created, Expires: v.Expires, Ended: v.Ended, Reason: v.Reason, View: view,
		})
	}
	if err != nil {
		b.log.Error("write the session's record", "session", v.ID, "error", err)
	}
}

// Recover marks the sessions of an earlier daemon as failed: plain SSH does not carry them over. What they left is in the ledger. It
// must have returned before the first Open, whose session it would take for one of those.
func (b *Broker) Recover() error {
	recs, err := b.store.Sessions()
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	for _, rec := range recs {
		v, err := decodeView(rec)
		if err != nil || v.Phase.Ended() {
			continue
		}
		v.Phase, v.Ended, v.Clients = api.PhaseFailed, &now, 0
		v.Error = &api.Error{Code: api.CodeDaemon, Message: "brokerd ended without closing the session", Hint: "open it again; what it left on the host is being cleaned up"}
		rec.Phase, rec.Ended = string(v.Phase), &now
		if rec.View, err = json.Marshal(v); err != nil {
			return err
		}
		if err := b.store.PutSession(rec); err != nil {
			return err
		}
		b.events.add(rec.ID, "failed", v.Error.Message)
	}
	return b.forwards.recover()
}

func decodeView(rec store.Session) (api.Session, error) {
	var v api.Session
	if len(rec.View) == 0 {
		return v, errors.New("record without a view")
	}
	err := json.Unmarshal(rec.View, &v)
	return v, err
}

// trim lets go of what ended sessions keep in memory, the oldest first, as far as it is too much.
func (b *Broker) trim() {
	type old struct {
		*session
		ended time.Time
	}
	var list []old
	b.mu.Lock()
	for _, s := range b.sessions {
		if v := s.view.Load(); v.Ended != nil {
			list = append(list, old{s, *v.Ended})
		}
	}
	b.mu.Unlock()
	slices.SortFunc(list, func(x, y old) int { return y.ended.Compare(x.ended) })
	bytes := 0
	for i, s := range list {
		bytes += s.out.size()
		if i < maxEnded && bytes <= maxEndedOutput {
			continue
		}
		s.out.forget()
		if _, err := b.store.Session(s.id); err == nil { // else memory is the only place where it is known
			b.mu.Lock()
			delete(b.sessions, s.id)
			b.mu.Unlock()
		}
	}
}

// prune forgets sessions that ended a day ago.
func (b *Broker) prune(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		before := time.Now().Add(-keepEnded)
		if _, err := b.store.Prune(before); err != nil {
			b.log.Error("forget old sessions", "error", err)
		}
		b.mu.Lock()
		for id, s := range b.sessions {
			if v := s.view.Load(); v.Ended != nil && v.Ended.Before(before) {
				delete(b.sessions, id)
			}
		}
		b.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// reportLeft corrects what the last snapshot of a session that is over says is left.
func (b *Broker) reportLeft(id string, left []string) {
	s, v, err := b.find(id)
	if err != nil {
		return // forgotten meanwhile
	}
	if s != nil {
		last := *s.view.Load()
		v = &last
	}
	v.Left = append([]string{}, left...)
	if s != nil {
		s.view.Store(v)
		s.tracker.Bump()
		b.tracker.Bump()
	}
	b.keep(v)
}
