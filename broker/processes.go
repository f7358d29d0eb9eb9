package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// Processes lists what can be debugged on a host, and the debug servers there. It changes nothing on it.
func (b *Broker) Processes(ctx context.Context, req api.ProcessesRequest) ([]api.Process, error) {
	languages := b.adapters
	if req.Lang != "" {
		a, ok := adapters.Lookup(b.adapters, req.Lang)
		if !ok {
			return nil, b.unknownLanguage(req.Lang)
		}
		languages = []adapters.Adapter{a}
	}
	b.hosts.Remember(req.Caller)
	ctx, cancel := context.WithTimeout(ctx, connectTimeout+probeTimeout)
	defer cancel()
	host, err := b.hosts.Connect(ctx, req.Host, req.Caller, func(string) {})
	if err != nil {
		return nil, err
	}
	defer host.Release()
	from := host
	if req.Sudo {
		if f, err := b.hosts.Facts(ctx, host); err != nil {
			return nil, err
		} else if f.UID != 0 {
			from = host.AsRoot()
		}
	}
	t, err := readProcesses(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("read the processes of %s: %w", hostLabel(req.Host), err)
	}
	sessions, err := b.Sessions(false)
	if err != nil {
		return nil, err
	}
	out := []api.Process{}
	for _, p := range t.all {
		if p.ours() {
			continue
		}
		for _, a := range languages {
			if f, ok := a.Recognise(p.Running); ok {
				out = append(out, t.show(p, a.Name(), f, req.Host, sessions))
				break
			}
		}
	}
	return out, nil
}

// show is a process as users see it.
func (t *processTable) show(p *process, lang string, f adapters.Found, host string, sessions []api.Session) api.Process {
	v := api.Process{
		PID: p.PID, Lang: lang, Command: append([]string{}, p.Argv...), User: p.User, Container: p.Container, Server: f.Server, Cwd: p.Cwd,
	}
	if f.Listening != "" {
		v.Listening = &f.Listening
	}
	if tracer := p.info.Tracer; tracer != 0 {
		v.Tracer = &api.Tracer{PID: tracer}
		if by := t.byPID[tracer]; by != nil {
			v.Tracer.Command = by.name()
		}
	}
	for _, s := range sessions {
		if s.Host == host && s.PID != nil && *s.PID == p.PID {
			v.Session = s.ID
		}
	}
	return v
}

func addressOf(l tunnel.Listener) string { return net.JoinHostPort(l.Addr, strconv.Itoa(l.Port)) }

func (b *Broker) serveProcesses(w http.ResponseWriter, r *http.Request) error {
	var req api.ProcessesRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return apiErrorf(api.CodeUsage, "", "read the request: %v", err)
	}
	list, err := b.Processes(r.Context(), req)
	if err != nil {
		return err
	}
	reply(w, list)
	return nil
}
