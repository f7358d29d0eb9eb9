package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// lines writes one JSON object a line, each sent at once.
type lines struct {
	enc   *json.Encoder
	flush func() error
}

func newLines(w http.ResponseWriter) *lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return &lines{enc: json.NewEncoder(w), flush: http.NewResponseController(w).Flush}
}

func (l *lines) send(v any) error {
	if err := l.enc.Encode(v); err != nil {
		return err
	}
	return l.flush()
}

func (b *Broker) serveOpen(w http.ResponseWriter, r *http.Request) error {
	var req api.OpenRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return apiErrorf(api.CodeUsage, "", "read the request: %v", err)
	}
	s, err := b.Open(req)
	if err != nil {
		return err
	}
	out := newLines(w)
	if err := out.send(api.OpenEvent{ID: s.id}); err != nil {
		s.cancel(errCancelled)
		if s.talk != nil {
			s.talk.leave()
		}
		return nil
	}
	if err := s.narrate(r.Context(), out); err != nil {
		s.cancel(errCancelled) // whoever asked has gone
		return nil
	}
	v := s.snapshot()
	if v.Error != nil {
		<-s.done // the error is told when all is clean again, so that a script may go on
		out.send(api.OpenEvent{Error: v.Error})
		return nil
	}
	// Looked at before it is told: who has been told may hang up at once, and wants the session all the same.
	if r.Context().Err() != nil || out.send(api.OpenEvent{Session: &v}) != nil {
		s.cancel(errCancelled) // it got ready for nobody
	}
	return nil
}

// narrate sends progress, and what the host asks, until the session has opened or failed to.
func (s *session) narrate(ctx context.Context, out *lines) error {
	var last *string
	var notices chan notice
	if s.talk != nil {
		notices = s.talk.notices
		defer s.talk.leave()
	}
	for {
		seen := s.tracker.Version()
		if p := s.progress.Load(); p != last {
			last = p
			if err := out.send(api.OpenEvent{Progress: *p}); err != nil {
				return err
			}
		}
		select {
		case <-s.tracker.Changed(seen):
		case n := <-notices:
			if err := out.send(api.OpenEvent{Prompt: n.prompt, Withdrawn: n.withdrawn}); err != nil {
				return err
			}
		case <-s.opened:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (b *Broker) serveSessions(w http.ResponseWriter, r *http.Request) error {
	all := r.FormValue("all") == "true"
	if r.FormValue("watch") != "true" {
		list, err := b.Sessions(all)
		if err != nil {
			return err
		}
		reply(w, list)
		return nil
	}
	out := newLines(w)
	out.flush()
	sent := make(map[string][]byte)
	for first := true; ; first = false {
		seen := b.tracker.Version()
		// After the first round the ended ones are shown too: a watcher must learn that a session which it saw is over.
		list, err := b.Sessions(all)
		if err == nil && !first && !all {
			list, err = b.Sessions(true)
		}
		if err != nil {
			return nil
		}
		for _, v := range list {
			if _, known := sent[v.ID]; !known && v.Phase.Ended() && !all {
				continue
			}
			key, err := watchKey(v)
			if err != nil || bytes.Equal(key, sent[v.ID]) {
				continue
			}
			sent[v.ID] = key
			if out.send(v) != nil {
				return nil
			}
		}
		if b.waitChange(r.Context(), &b.tracker, seen) != nil {
			return nil
		}
	}
}

// watchKey is what of a session counts as a change: the round trip time alone does not.
func watchKey(v api.Session) ([]byte, error) {
	if v.Link != nil {
		link := *v.Link
		link.RTT = 0
		v.Link = &link
	}
	return json.Marshal(v)
}

// waitChange waits for a change. It ends when the last session has, with the daemon: a follower must not hold that up, and must not miss
// what comes before.
func (b *Broker) waitChange(ctx context.Context, t *Tracker, seen uint64) error {
	changed := t.Changed(seen)
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-b.over:
	}
	select {
	case <-changed:
		return nil
	default:
		return errShutdown
	}
}

func (b *Broker) serveSession(w http.ResponseWriter, r *http.Request) error {
	s, old, err := b.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	if s == nil {
		reply(w, old)
		return nil
	}
	reply(w, s.snapshot())
	return nil
}

func (b *Broker) serveClose(w http.ResponseWriter, r *http.Request) error {
	c, err := b.Close(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	reply(w, c)
	return nil
}

func (b *Broker) serveLogs(w http.ResponseWriter, r *http.Request) error {
	s, old, err := b.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	out := newLines(w)
	out.flush()
	if old != nil {
		return nil // its output went with the daemon that it ran under
	}
	for next := 0; ; {
		seen := s.out.tracker.Version()
		batch, n, ended := s.out.since(next)
		next = n
		for _, l := range batch {
			if out.send(l) != nil {
				return nil
			}
		}
		if ended || r.FormValue("follow") != "true" || b.waitChange(r.Context(), &s.out.tracker, seen) != nil {
			return nil
		}
	}
}

func (b *Broker) serveEvents(w http.ResponseWriter, r *http.Request) error {
	out := newLines(w)
	out.flush()
	for next := 0; ; {
		seen := b.events.tracker.Version()
		batch, n := b.events.since(next)
		next = n
		for _, e := range batch {
			if out.send(e) != nil {
				return nil
			}
		}
		if r.FormValue("follow") != "true" || b.waitChange(r.Context(), &b.events.tracker, seen) != nil {
			return nil
		}
	}
}

func (b *Broker) serveHosts(w http.ResponseWriter, r *http.Request) error {
	if r.FormValue("names") == "true" {
		names, err := b.hosts.Names(r.Context())
		if err != nil {
			return err
		}
		list := make([]api.Host, 0, len(names))
		for _, name := range names {
			list = append(list, api.Host{Name: name})
		}
		reply(w, list)
		return nil
	}
	list, wants, err := b.hosts.List(r.Context())
	if err != nil {
		return err
	}
	sessions, err := b.Sessions(false)
	if err != nil {
		return err
	}
	forwards := b.forwards.count()
	for i := range list {
		list[i].Forwards = forwards[list[i].Name]
		list[i].SSHForwards = len(b.forwards.passedOver(list[i].Name, wants[list[i].Name]))
		if kept := b.forwards.linkOf(list[i].Name); kept != nil && (list[i].Link == nil || list[i].Link.State == tunnel.LinkDown) {
			list[i].Link = kept
		}
		for _, s := range sessions {
			if s.Host == list[i].Name {
				list[i].Sessions++
			}
		}
	}
	reply(w, list)
	return nil
}
