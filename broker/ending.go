package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

const (
	// endWait bounds all that is said to a host when a session ends: `brokerctl stop` waits for 30 s. A Reap takes 8 s there at most,
	// and a login shell's time.
	endWait = 16 * time.Second
	// stopWait bounds a debug server's way to its own end, within endWait.
	stopWait = 5 * time.Second
	// portWait is how long a port may outlive its processes.
	portWait = 2 * time.Second
	// settleWait bounds how long a program is told to run on, within endWait.
	settleWait = 15 * time.Second
)

// end takes down what open built, in the reverse order, proves on the host that nothing is left, and leaves the session's last
// snapshot in the store. cause is why it ends; nil is the end of the program.
//
// It has a bound, whatever the host does: endWait, some seconds in which the process's channel is given up, and the proxy's own. A
// step that panics makes the session a failed one; the others are taken all the same.
func (s *session) end(ctx context.Context, r *rig, cause error) {
	s.blame(cause)
	s.setPhase(api.PhaseClosing)
	// What ends a session must not be ended by the same cancel.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
	defer cancel()
	for _, step := range []func(context.Context, *rig){
		func(ctx context.Context, r *rig) { s.dismiss(ctx, r, cause) }, s.cleanRemote, s.stopTasks, s.release,
	} {
		if err := s.attempt(func() { step(ctx, r) }); err != nil {
			cause = err
			s.blame(cause)
		}
	}
	s.out.end()
	now := time.Now().UTC().Truncate(time.Second)
	s.cur.Ended, s.cur.Clients = &now, 0
	s.setPhase(endPhase(cause))
	s.b.events.add(s.id, string(s.cur.Phase), s.lastWords(cause))
	s.b.keep(s.view.Load())
	s.b.trim()
	if r.abandoned {
		s.b.ledger.abandon(*r.entry) // now that the snapshot is the last, it is the ledger's to say what is left
	}
}

// blame makes cause the session's error if it is one, and the first.
func (s *session) blame(cause error) {
	if s.cur.Error == nil && endPhase(cause) == api.PhaseFailed {
		s.cur.Error = asAPI(cause)
	}
}

// attempt calls f, and returns its panic.
func (s *session) attempt(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked(p)
		}
	}()
	f()
	return nil
}

// dismiss closes the front ends and the local port. A program that is not ours to end runs on without them.
func (s *session) dismiss(ctx context.Context, r *rig, cause error) {
	if r.listener != nil {
		defer r.listener.Close()
	}
	if r.proxyEnd == nil {
		return
	}
	if cause != nil { // else the server has told of its program's end, and drain has waited for the front ends
		r.proxy.Dismiss(ctx, s.farewell(cause))
	}
	r.proxyEnd()
	s.settleStdio(ctx, r)
	if r.proxy.Unsettled() && r.plan.AfterLast != nil && s.cur.Mode != string(adapters.Launch) {
		s.exchange(ctx, settleWait, "let the program run on", r.plan.AfterLast, r.dial)
	}
}

// farewell is what front ends are told.
func (s *session) farewell(cause error) string {
	what := "the program runs on"
	if s.cur.Mode == string(adapters.Launch) {
		what = "the program is ended"
	}
	return fmt.Sprintf("debugbroker: session %s on %s is over: %s; %s", s.id, hostLabel(s.req.Host), s.lastWords(cause), what)
}

func (s *session) stopTasks(ctx context.Context, r *rig) { r.stopTasks(ctx) }

// release gives the host back.
func (s *session) release(_ context.Context, r *rig) {
	if r.host != nil {
		s.cur.Link = s.b.hosts.Link(s.req.Host)
		r.host.Release()
	}
}

// lastWords says in the events why the session ended.
func (s *session) lastWords(cause error) string {
	text := "closed"
	switch {
	case errors.Is(cause, errShutdown) && s.cur.Error == nil:
		text = "brokerd stopped"
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
	s.cur.Left, r.abandoned = []string{"workspace " + r.entry.Workspace}, true
	if lost(r.host) {
		s.cur.Left[0] += " (" + hostLabel(s.req.Host) + " is out of reach; it is cleaned up at the next connect)"
		return
	}
	if r.proc != nil && r.plan.Stop != nil && r.address != "" {
		s.exchange(ctx, stopWait, "ask the debug server to end", r.plan.Stop, r.dial)
	}
	left, err := s.b.ledger.reap(ctx, r.host, *r.entry)
	if err == nil && len(left) == 0 {
		left = s.portLeft(ctx, r)
	}
	if err != nil {
		s.log.Warn("clean up", "error", err)
		s.silent = errors.Is(err, context.DeadlineExceeded)
		s.cur.Left[0] += " (" + err.Error() + ")"
		return
	}
	r.abandoned = len(left) > 0
	s.leaves = r.plan.Leaves
	s.cur.Left = append(append([]string{}, left...), s.leaves...)
}

// portLeft looks whether the debug server's port still listens although its processes are gone. A killed process may hold its sockets
// for a moment after it counts as gone, and a port that is free may be another program's the next moment.
func (s *session) portLeft(ctx context.Context, r *rig) []string {
	if r.network != "tcp" || r.address == "" || r.plan.Stays {
		return nil
	}
	port, err := portOf(r.address)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	tick := time.NewTicker(endpointPoll)
	defer tick.Stop()
	for deadline := time.Now().Add(portWait); ; {
		all, err := r.host.Listeners(ctx)
		if err != nil {
			s.log.Warn("look for ports that are left", "error", err)
			return nil
		}
		ours := func(l tunnel.Listener) bool {
			return l.Port == port && (l.UID == r.facts.UID || l.PID != 0 && l.PID == r.target.PID) && (l.PID == 0 || r.listenerPID == 0 || l.PID == r.listenerPID)
		}
		if !slices.ContainsFunc(all, ours) {
			return nil
		}
		if time.Now().After(deadline) {
			return []string{"listening port " + r.address}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// exchange carries out one short conversation with the debug server; that it fails is told, not more.
func (s *session) exchange(ctx context.Context, limit time.Duration, what string, f func(context.Context, adapters.Dial) error, dial adapters.Dial) {
	ctx, cancel := context.WithTimeout(ctx, limit)
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
