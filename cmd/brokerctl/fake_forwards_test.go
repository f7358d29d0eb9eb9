package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/debugbroker/debugbroker/broker/api"
)

// addForwards behaves as the host's name says, as open does: "down" is waited for, "busy" refuses every second, and a code fails with it.
// Forwards of the name "evil" have hostile texts.
func (f *fakeDaemon) addForwards(w http.ResponseWriter, r *http.Request) {
	var req api.ForwardRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		fail(w, &api.Error{Code: api.CodeUsage, Message: err.Error()})
		return
	}
	f.mu.Lock()
	f.forwardRequests = append(f.forwardRequests, req)
	f.mu.Unlock()
	if e := (&api.Error{Code: api.Code(req.Host), Message: "it is " + req.Host, Hint: "do " + req.Host}); knownCode(e.Code) {
		fail(w, e)
		return
	}
	var list []api.Forward
	for i, spec := range req.Forwards {
		v := api.Forward{
			Name: cmp.Or(req.Name, req.Host+"-5432"), Host: req.Host, Kind: spec.Kind, Listen: "127.0.0.1:5432", Target: "db:5432",
			State: api.ForwardUp, SameUser: req.SameUser, Source: "command",
		}
		if i > 0 {
			v.Name += fmt.Sprintf("-%d", i+1)
		}
		if spec.Kind == "socks" {
			v.Target = ""
		}
		switch {
		case req.Host == "busy" && i%2 == 1:
			v.Name, v.State = "", api.ForwardFailed
			v.Error = &api.Error{Code: api.CodePortBusy, Message: "listen on 127.0.0.1:5432: nc (pid 7) has it", Hint: "take another"}
		case req.Host == "down":
			v.State, v.Error = api.ForwardWaiting, &api.Error{Code: api.CodeUnreachable, Message: "dial 10.0.0.9:22: no route"}
		case req.Host == "wide" && spec.Kind == "remote":
			v.Listen, v.Note = "*:5432", "the server listens on all addresses"
		case req.Name == "evil":
			v.Listen, v.Target, v.State = evil, evil, api.ForwardFailed
			v.Error, v.Note = &api.Error{Code: api.CodeInternal, Message: evil, Hint: evil}, evil
		}
		list = append(list, v)
		if v.Name != "" {
			f.setForward(v)
		}
	}
	answer(w, list)
}

func (f *fakeDaemon) setForward(v api.Forward) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forwards = put(f.forwards, v, func(o api.Forward) bool { return o.Name == v.Name }, v.State == api.ForwardRemoved)
	f.removed = slices.DeleteFunc(f.removed, func(o api.Forward) bool { return o.Name == v.Name })
	if v.State == api.ForwardRemoved {
		f.removed = append(f.removed, v)
	}
	f.notify()
}

func (f *fakeDaemon) listForwards(w http.ResponseWriter, r *http.Request) {
	sent := map[string]string{}
	for {
		f.mu.Lock()
		list, changed := slices.Concat(f.forwards, f.removed), f.changed
		alive := slices.Clone(f.forwards)
		f.mu.Unlock()
		if r.URL.Query().Get("watch") != "true" {
			answer(w, alive)
			return
		}
		for _, v := range list {
			b, _ := json.Marshal(v)
			if sent[v.Name] == string(b) || v.State == api.ForwardRemoved && sent[v.Name] == "" {
				continue
			}
			sent[v.Name] = string(b)
			answer(w, v)
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// actForward is for remove and restart.
func (f *fakeDaemon) actForward(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	i := slices.IndexFunc(f.forwards, func(v api.Forward) bool { return v.Name == r.PathValue("name") })
	var v api.Forward
	if i >= 0 {
		v = f.forwards[i]
	}
	f.mu.Unlock()
	if i < 0 {
		fail(w, &api.Error{Code: api.CodeUnknownForward, Message: "no forward " + r.PathValue("name"), Hint: "brokerctl forwards"})
		return
	}
	if r.PathValue("act") == "remove" {
		if v.Host == "configured" {
			v.Source = "config"
		}
		v.State = api.ForwardRemoved
		f.setForward(v)
	}
	answer(w, v)
}
