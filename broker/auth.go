package broker

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// Authenticate connects to a host for no other reason than that it lets us in; ask reaches who waits for it, nil is nobody. The link stays in
// the pool for a while, and whatever waits for the host is told.
func (b *Broker) Authenticate(ctx context.Context, req api.AuthRequest, ask tunnel.Ask, progress func(string)) (api.AuthResult, error) {
	if req.Host == "" {
		return api.AuthResult{}, apiErrorf(api.CodeUsage, "name it as ssh takes it", "this machine asks for nothing: a host is missing")
	}
	b.hosts.Remember(req.Caller)
	before := b.hosts.Link(req.Host)
	ctx, ask, cancel := patient(ctx, connectTimeout, ask)
	defer cancel()
	host, err := b.hosts.ConnectAsking(ctx, req.Host, req.Caller, ask, progress)
	if err != nil {
		return api.AuthResult{}, late(ctx, err)
	}
	defer host.Release()
	b.hosts.Authenticated(req.Host)
	r := api.AuthResult{Host: req.Host, Link: b.hosts.Link(req.Host), Already: before != nil && before.State == tunnel.LinkUp}
	r.User, r.By = b.hosts.entered(req.Host)
	return r, nil
}

func (b *Broker) serveAuth(w http.ResponseWriter, r *http.Request) error {
	var req api.AuthRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return apiErrorf(api.CodeUsage, "", "read the request: %v", err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	talk := b.newInterview()
	defer talk.leave()
	var ask tunnel.Ask
	if req.CanPrompt {
		ask = talk.ask
	}
	lines, end := make(chan string), make(chan api.AuthEvent, 1)
	go func() { // ends with ctx, and is waited for
		result, err := b.Authenticate(ctx, req, ask, func(line string) {
			select {
			case lines <- line:
			case <-talk.gone:
			}
		})
		if err != nil {
			end <- api.AuthEvent{Error: asAPI(err)}
			return
		}
		end <- api.AuthEvent{Result: &result}
	}()
	out := newLines(w)
	for {
		var ev api.AuthEvent
		select {
		case ev.Progress = <-lines:
		case n := <-talk.notices:
			ev = api.AuthEvent{Prompt: n.prompt, Withdrawn: n.withdrawn}
		case ev = <-end:
			out.send(ev) // who has gone meanwhile wants no answer
			return nil
		}
		if out.send(ev) != nil {
			talk.leave()
			cancel()
			<-end
			return nil
		}
	}
}
