package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs/service"
)

// serviceStatus is what the service commands answer with --json.
type serviceStatus struct {
	Manager   service.Manager `json:"manager"`
	Reachable bool            `json:"reachable"` // whether the manager answers
	File      string          `json:"file"`
	Installed bool            `json:"installed"`
	Current   bool            `json:"current"` // as install would write it now
	Enabled   bool            `json:"enabled"` // started at login
	Active    string          `json:"active"`  // active, inactive, activating, deactivating, failed; "" where nobody knows
	PID       *int            `json:"pid"`     // of the service's daemon
	Daemon    *api.DaemonInfo `json:"daemon"`  // who answers; null for nobody
	Serving   bool            `json:"serving"` // whether that is the service's
	Linger    *bool           `json:"linger"`  // whether it outlives the last logout; null where that is not known

	why error // that it is not reachable
}

func (a *app) tellService(ctx context.Context) error {
	p, m, err := a.managed()
	if err != nil {
		return err
	}
	return a.tellServiceOf(ctx, p, m)
}

func (a *app) tellServiceOf(ctx context.Context, p place, m manager) error {
	s, err := a.serviceStatus(ctx, p, m)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(s)
	}
	return a.print(s.text(p))
}

func (a *app) serviceStatus(ctx context.Context, p place, m manager) (serviceStatus, error) {
	s := serviceStatus{Manager: m.kind()}
	file, have, err := installed(m)
	if err != nil {
		return s, err
	}
	s.File, s.Installed = file, have != nil
	if want, err := p.rendered(m, a.env); err == nil { // else there is no brokerd to install: that is install's to say
		s.Current = bytes.Equal(have, want)
	}
	if s.why = m.reach(ctx); s.why == nil {
		state, err := m.state(ctx)
		if err != nil {
			return s, err
		}
		s.Reachable, s.Enabled, s.Active, s.Linger = true, s.Installed && state.enabled, state.active, m.linger(ctx)
		if state.pid != 0 {
			s.PID = &state.pid
		}
	}
	c, _ := p.client()
	defer c.Close()
	switch info, err := ask(ctx, c); {
	case err == nil:
		s.Daemon, s.Serving = &info, s.PID != nil && *s.PID == info.PID
	case !notRunning(err):
		return s, err
	}
	return s, nil
}

// text is the status for people, clean.
func (s serviceStatus) text(p place) string {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s %s\n", key, clean(fmt.Sprintf(format, args...)))
	}
	words := []string{"not installed"}
	if s.Installed {
		words = []string{"installed"}
		if s.Reachable && !s.Enabled {
			words = append(words, "not enabled")
		}
		if s.Active != "" {
			words = append(words, s.Active)
		}
		if !s.Current {
			words = append(words, "not as brokerctl service install would write it now")
		}
	}
	line("service", "%s", strings.Join(words, ", "))
	if s.Installed {
		line("file", "%s", s.File)
	}
	if !s.Reachable {
		line("manager", "%v", s.why)
	}
	switch d := s.Daemon; {
	case d == nil:
		line("brokerd", "is not running")
	case s.Serving:
		line("brokerd", "%s, pid %d, is the service's", d.Version, d.PID)
	default:
		line("brokerd", "%s, pid %d, runs without the service", d.Version, d.PID)
	}
	line("log", "%s", filepath.Join(p.stateDir, api.LogName))
	if s.Installed && s.Linger != nil {
		if *s.Linger {
			line("linger", "on: it is started when the machine is, and outlives your logout")
		} else {
			line("linger", "off: it ends with your last logout; loginctl enable-linger lets it stay")
		}
	}
	return b.String()
}
