package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// extendWait bounds how long a session that opens, or is busy with a program's end, is waited for.
const extendWait = 10 * time.Second

// extension asks run for a later end of its session.
type extension struct {
	ttl    time.Duration
	answer chan error // of capacity 1
}

// Extend sets the end of a session to ttl from now, and returns the session. It never brings the end nearer.
func (b *Broker) Extend(ctx context.Context, id string, ttl time.Duration) (api.Session, error) {
	if ttl < time.Second || ttl > maxTTL {
		return api.Session{}, apiErrorf(api.CodeUsage, "give a time like 30m or 8h", "time limit %s is not between 1s and 720h", ttl)
	}
	s, old, err := b.find(id)
	if err != nil {
		return api.Session{}, err
	}
	if s == nil {
		return api.Session{}, endedAlready(*old)
	}
	ctx, cancel := context.WithTimeout(ctx, extendWait)
	defer cancel()
	e := extension{ttl: ttl, answer: make(chan error, 1)}
	for {
		seen := s.tracker.Version()
		v := s.view.Load()
		if v.Phase == api.PhaseClosing || v.Phase.Ended() {
			return api.Session{}, endedAlready(*v)
		}
		select {
		case s.extensions <- e:
			select {
			case err := <-e.answer:
				return s.snapshot(), err
			case <-s.done: // a panic of run
				return api.Session{}, endedAlready(*s.view.Load())
			}
		case <-s.tracker.Changed(seen):
		case <-ctx.Done():
			return api.Session{}, apiErrorf(api.CodeNotReady, "extend it once it is ready", "session %s is %s", id, v.Phase)
		}
	}
}

func endedAlready(v api.Session) error {
	text := fmt.Sprintf("session %s is %s", v.ID, v.Phase)
	if v.Ended != nil {
		text += " since " + v.Ended.Local().Format(time.DateTime)
	}
	return apiErrorf(api.CodeEnded, "open it anew", "%s", text)
}

// extend carries out an extension, in run.
func (s *session) extend(ctx context.Context, ttl time.Duration) error {
	now := s.b.now().UTC()
	expires := now.Truncate(time.Second).Add(ttl)
	if left := s.cur.Expires.Sub(now).Truncate(time.Second); expires.Before(s.cur.Expires) {
		return apiErrorf(api.CodeUsage, "brokerctl close "+s.id+" ends it at once", "session %s has %s left: %s would shorten it", s.id, left, ttl)
	}
	select {
	case s.deadline <- expires: // expire goes by it from here on: it cannot have ended the session
	case <-ctx.Done():
		return apiErrorf(api.CodeEnded, "open it anew", "session %s is ending: %v", s.id, context.Cause(ctx))
	}
	select {
	case <-s.expiring: // was about the old end
	default:
	}
	s.cur.Expires = expires
	s.publish()
	s.b.keep(s.view.Load())
	s.b.events.add(s.id, "extended", fmt.Sprintf("by %s, until %s", ttl, expires.Local().Format(time.DateTime)))
	return nil
}

func (b *Broker) serveExtend(w http.ResponseWriter, r *http.Request) error {
	var req api.ExtendRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return apiErrorf(api.CodeUsage, "", "read the request: %v", err)
	}
	v, err := b.Extend(r.Context(), r.PathValue("id"), req.TTL)
	if err != nil {
		return err
	}
	reply(w, v)
	return nil
}
