package broker

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// stopWait bounds each conversation with a debug server that is asked to end.
const stopWait = 5 * time.Second

// end takes down what open built, in the reverse order, proves on the host that nothing is left, and leaves the session's last
// snapshot in the store. cause is why it ends; nil is the end of the program.
func (s *session) end(ctx context.Context, r *rig, cause error) {
	if s.cur.Error == nil && endPhase(cause) == api.PhaseFailed {
		s.cur.Error = asAPI(cause)
	}
	s.setPhase(api.PhaseClosing)
	// What ends a session must not be ended by the same cancel.
	ctx = context.WithoutCancel(ctx)
	if r.proxyEnd != nil {
		hadClients := s.cur.Clients > 0
		r.proxyEnd()
		if hadClients && r.plan.AfterLast != nil && s.cur.Mode != string(adapters.Launch) {
			s.exchange(ctx, "let the program run on", r.plan.AfterLast, r.dial)
		}
	}
	if r.listener != nil {
		r.listener.Close()
	}
	s.cleanRemote(ctx, r)
	r.stopTasks()
	if r.host != nil {
		s.cur.Link = s.b.hosts.Link(s.req.Host)
		r.host.Release()
	}
	s.out.end()
	now := time.Now().UTC().Truncate(time.Second)
	s.cur.Ended, s.cur.Clients = &now, 0
	s.setPhase(endPhase(cause))
	s.b.events.add(s.id, string(s.cur.Phase), s.lastWords(cause))
	s.b.keep(s)
	if len(s.cur.Left) > 0 {
		s.b.ledger.abandon(r.entry.ID) // now that the snapshot is the last, it is the ledger's to say what is left
	}
}

// lastWords says in the events why the session ended.
func (s *session) lastWords(cause error) string {
	text := "closed"
	switch {
	case s.cur.Error != nil:
		text = s.cur.Error.Message
	case cause == nil && s.cur.Exit != nil:
		text = "the program ended with " + describeExit(*s.cur.Exit)
	case cause != nil:
		text = cause.Error()
	}
	if len(s.cur.Left) > 0 {
		text += "; left: " + strings.Join(s.cur.Left, ", ")
	}
	return text
}

// cleanRemote ends what was started on the host and removes what was made there.
func (s *session) cleanRemote(ctx context.Context, r *rig) {
	if r.entry == nil {
		return
	}
	if lost(r.host) {
		s.cur.Left = []string{"workspace " + r.entry.Workspace + " (" + hostLabel(s.req.Host) + " is out of reach; it is cleaned up at the next connect)"}
		return
	}
	if r.proc != nil && r.plan.Stop != nil && r.address != "" {
		s.exchange(ctx, "ask the debug server to end", r.plan.Stop, r.dial)
	}
	left, err := s.b.ledger.reap(ctx, r.host, *r.entry)
	if err == nil && len(left) == 0 {
		left = s.portLeft(ctx, r)
	}
	switch {
	case err != nil:
		s.log.Warn("clean up", "error", err)
		s.cur.Left = []string{"workspace " + r.entry.Workspace + " (" + err.Error() + ")"}
	case len(left) > 0:
		s.cur.Left = left
	}
}

// portLeft looks whether the debug server's port still listens although its processes are gone.
func (s *session) portLeft(ctx context.Context, r *rig) []string {
	if r.network != "tcp" || r.address == "" {
		return nil
	}
	port, err := portOf(r.address)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	all, err := r.host.Listeners(ctx)
	if err != nil {
		s.log.Warn("look for ports that are left", "error", err)
		return nil
	}
	for _, l := range all {
		if l.Port == port && l.UID == r.facts.UID {
			return []string{"listening port " + r.address}
		}
	}
	return nil
}

// exchange carries out one short conversation with the debug server; that it fails is told, not more.
func (s *session) exchange(ctx context.Context, what string, f func(context.Context, adapters.Dial) error, dial adapters.Dial) {
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	if err := f(ctx, dial); err != nil && !errors.Is(err, tunnel.ErrLinkLost) {
		s.log.Info(what, "error", err)
	}
}

func lost(h tunnel.Host) bool {
	if h == nil {
		return true
	}
	select {
	case <-h.Done():
		return true
	default:
		return false
	}
}
