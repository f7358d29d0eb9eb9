package broker

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// countEvery is how often a watcher is told how much has gone through.
const countEvery = time.Second

func (b *Broker) serveAddForwards(w http.ResponseWriter, r *http.Request) error {
	var req api.ForwardRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return apiErrorf(api.CodeUsage, "", "read the request: %v", err)
	}
	b.hosts.Remember(req.Caller)
	list, err := b.forwards.add(r.Context(), req)
	if err != nil {
		return err
	}
	reply(w, list)
	return nil
}

func (b *Broker) serveForwards(w http.ResponseWriter, r *http.Request) error {
	if r.FormValue("watch") != "true" {
		reply(w, b.forwards.views())
		return nil
	}
	out := newLines(w)
	out.flush()
	tick := time.NewTicker(countEvery) // only while somebody watches
	defer tick.Stop()
	sent := make(map[string][]byte)
	for {
		changed := b.forwards.tracker.Changed(b.forwards.tracker.Version())
		if tellForwards(out, sent, b.forwards.views()) != nil {
			return nil
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-r.Context().Done():
			return nil
		case <-b.over:
			return nil
		}
	}
}

// tellForwards sends what has changed since it was sent, and what is not there any more.
func tellForwards(out *lines, sent map[string][]byte, list []api.Forward) error {
	there := make(map[string]bool)
	for _, v := range list {
		there[v.Name] = true
		text, err := json.Marshal(v)
		if err != nil || bytes.Equal(text, sent[v.Name]) {
			continue
		}
		sent[v.Name] = text
		if err := out.send(v); err != nil {
			return err
		}
	}
	for name, text := range sent {
		if there[name] {
			continue
		}
		delete(sent, name)
		var v api.Forward
		if err := json.Unmarshal(text, &v); err != nil {
			continue
		}
		v.State, v.Connections, v.Error = api.ForwardRemoved, 0, nil
		if err := out.send(v); err != nil {
			return err
		}
	}
	return nil
}

func (b *Broker) serveRemoveForward(w http.ResponseWriter, r *http.Request) error {
	v, err := b.forwards.remove(r.PathValue("name"))
	if err != nil {
		return err
	}
	reply(w, v)
	return nil
}

func (b *Broker) serveRestartForward(w http.ResponseWriter, r *http.Request) error {
	v, err := b.forwards.restart(r.PathValue("name"))
	if err != nil {
		return err
	}
	reply(w, v)
	return nil
}
