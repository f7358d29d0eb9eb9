package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/tools"
)

const (
	// openTimeout bounds `brokerctl open`, and debugTimeout the conversation with the debug server.
	openTimeout  = 2 * time.Minute
	debugTimeout = 2 * time.Minute
	leftTimeout  = 15 * time.Second
)

// program is one to debug, ready to run.
type program struct {
	args     []string // of `brokerctl open demo:LANG`
	breakAt  place
	attach   map[string]any // what a DAP front end attaches with
	frontend string         // of a front end that is a program: its path
}

// tour shows one language from open to nothing left.
func (h *house) tour(ctx context.Context, n narrator, l language) error {
	n.title(l.title)
	p, err := l.prepare(ctx, h, n)
	var missing *tools.MissingError
	if errors.As(err, &missing) && !l.required {
		n.say(fmt.Sprintf("left out: %s is not on this machine.\nTo see it: %s", missing.Tool, missing.Install))
		return nil
	}
	if err != nil {
		return err
	}
	s, err := h.open(ctx, n, l, p)
	if err != nil {
		return errors.Join(err, h.daemonLog())
	}
	debugCtx, cancel := context.WithTimeout(ctx, debugTimeout)
	defer cancel()
	if err := l.debug(debugCtx, n, s.Local, p); err != nil {
		return errors.Join(err, h.daemonLog())
	}
	return h.closeSession(ctx, n, s)
}

func (h *house) open(ctx context.Context, n narrator, l language, p program) (api.Session, error) {
	n.step("Opening a session: the daemon connects by SSH, starts %s there, and binds a port here.", l.server)
	n.command(append([]string{"brokerctl", "open"}, p.args...)...)
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	var s api.Session
	out, err := h.brokerctl(ctx, append([]string{"open", "--json"}, p.args...)...)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return s, fmt.Errorf("read what open printed: %w\n%s", err, out)
	}
	if s.Phase != api.PhaseReady || s.Local == "" {
		return s, fmt.Errorf("the session is %q at %q, not ready", s.Phase, s.Local)
	}
	n.show("session %s is %s", s.ID, s.Phase)
	n.show("front ends attach to %s (%s), served by %s at %s on the remote", s.Local, s.Protocol, s.Server, s.Remote)
	for _, w := range s.Warnings {
		n.show("warning: %s", w)
	}
	return s, nil
}

func (h *house) closeSession(ctx context.Context, n narrator, s api.Session) error {
	n.step("Closing the session: debug server and program are ended, the remote is checked, the port is given back.")
	n.command("brokerctl", "close", s.ID)
	closeCtx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	out, err := h.brokerctl(closeCtx, "close", "--json", s.ID)
	if err != nil {
		return errors.Join(err, h.daemonLog())
	}
	var closed []api.Closed
	if err := json.Unmarshal(out, &closed); err != nil {
		return fmt.Errorf("read what close printed: %w\n%s", err, out)
	}
	for _, c := range closed {
		if len(c.Left) > 0 {
			return fmt.Errorf("the broker could not remove: %q", c.Left)
		}
	}
	n.step("Is anything left? The demo looks for itself instead of believing the broker.")
	if conn, err := net.DialTimeout("tcp", s.Local, time.Second); err == nil {
		conn.Close()
		return fmt.Errorf("something still listens on %s", s.Local)
	}
	n.show("port %s: nobody listens", s.Local)
	if h.stock == nil {
		n.show("processes: this system has no /proc, so only the broker's word is at hand: none")
		return nil
	}
	leftCtx, cancel := context.WithTimeout(ctx, leftTimeout)
	defer cancel()
	left, err := h.stock.Left(leftCtx)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("left behind: %q", left)
	}
	n.show("processes with the demo's mark, besides the daemon: none")
	n.show("workspaces and other files in the remote's temporary directories: none")
	return nil
}
