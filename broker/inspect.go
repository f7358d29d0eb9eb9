package broker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// socketPath is what an inspector's websocket path may be; node's are UUIDs. It stands in addresses that users open.
var socketPath = regexp.MustCompile(`^/[0-9A-Za-z._~-]{1,128}$`)

// setPath takes the websocket's path from what the server said.
func (r *rig) setPath(path string) error {
	if !socketPath.MatchString(path) {
		return apiErrorf(api.CodeNotReady, "", "%s announced the websocket %.200q, which is none", r.plan.Server, path)
	}
	r.wsPath = path
	return nil
}

// endpoint is where the server listens, which for TCP must be loopback: what a server announces decides what is dialled, on this
// machine too. The zero value is any other network's.
func (r *rig) endpoint() (netip.AddrPort, error) {
	if r.network != "tcp" {
		return netip.AddrPort{}, nil
	}
	at, err := netip.ParseAddrPort(r.address)
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	switch {
	case err != nil || at.Port() == 0:
		return at, apiErrorf(api.CodeNotReady, "", "%s announced %.200q, which is no address", r.plan.Server, r.address)
	case !at.Addr().IsLoopback():
		return at, exposed(r, at.String())
	}
	return at, nil
}

func exposed(r *rig, where string) error {
	return apiErrorf(api.CodeExposed, "it has been stopped; see that no flag or variable of yours makes it listen there", "%s listens on %s, beyond loopback", r.plan.Server, where)
}

// inspect reads the remote's listening sockets: the server must be on loopback, helpers that escaped are written down, and what
// other users there could do is told.
func (s *session) inspect(ctx context.Context, r *rig, req adapters.Request) error {
	if r.network != "tcp" {
		return nil
	}
	at, err := r.endpoint()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	all, err := r.host.Listeners(ctx)
	if err != nil {
		return fmt.Errorf("read the listening sockets of %s: %w", hostLabel(s.req.Host), err)
	}
	answering := answers(all, at)
	if req.Mode == adapters.Port || r.plan.Stays {
		err = s.inspectForeign(r, at, answering)
	} else {
		err = s.inspectOwn(ctx, r, at, all, answering, req.Workspace)
	}
	if err != nil {
		return err
	}
	if r.plan.Exposed {
		s.warn(exposure(r.facts.OtherUsers, hostLabel(s.req.Host), r.address, r.plan.SecretPath))
	}
	return nil
}

// exposure says what other accounts of the host could do. The local port is none of it: that one is the user's own.
func exposure(accounts int, host, address string, secretPath bool) string {
	who := fmt.Sprintf("%d other accounts of %s", accounts, host)
	if accounts == 1 {
		who = "1 other account of " + host
	}
	if secretPath {
		return who + " can reach the debug server at " + address + " there: a random path, which only you know, keeps them from debugging"
	}
	return who + " can connect to the debug server at " + address + " there and run code as you: it asks for no password"
}

// answers returns the sockets that a connection to at can come to. Others on that port are the program's own, or somebody else's.
func answers(all []tunnel.Listener, at netip.AddrPort) []tunnel.Listener {
	var out []tunnel.Listener
	for _, l := range all {
		if ip, err := netip.ParseAddr(l.Addr); err == nil && l.Port == int(at.Port()) && (ip.Unmap() == at.Addr() || ip.IsUnspecified()) {
			out = append(out, l)
		}
	}
	return out
}

// inspectOwn looks at the sockets of a server that we have started.
func (s *session) inspectOwn(ctx context.Context, r *rig, at netip.AddrPort, all, answering []tunnel.Listener, workspace string) error {
	found := false
	for _, l := range answering {
		if l.UID >= 0 && l.UID != r.facts.UID && (l.PID == 0 || l.PID != r.target.PID) {
			continue
		}
		found = true
		r.listenerPID = l.PID
		for _, other := range all { // a server may have several
			if ip, err := netip.ParseAddr(other.Addr); other.Port == l.Port && (other == l || other.PID == l.PID && l.PID != 0) && (err != nil || !ip.IsLoopback()) {
				return exposed(r, fmt.Sprintf("%s port %d", other.Addr, other.Port))
			}
		}
		if r.plan.AdoptListener && r.proc != nil && l.PID != 0 && l.PID != r.proc.ID().PID {
			// One that has ended meanwhile took the program along, or the other way round: the exit tells.
			if _, err := r.host.Adopt(ctx, workspace, l.PID, false); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return fmt.Errorf("write down the debug adapter: %w", err)
			}
		}
	}
	switch {
	case found:
	case len(answering) > 0:
		return apiErrorf(api.CodeNotReady, "try again", "%s is not %s's: it belongs to another user (uid %d)", at, r.plan.Server, answering[0].UID)
	default:
		s.warn(fmt.Sprintf("%s does not show who listens at %s: that it is on loopback only could not be checked", hostLabel(s.req.Host), at))
	}
	return nil
}

// inspectForeign looks at the sockets of a server that was there before us.
func (s *session) inspectForeign(r *rig, at netip.AddrPort, answering []tunnel.Listener) error {
	if len(answering) == 0 {
		return apiErrorf(api.CodeNotFound, "start the debug server there, or name the port it listens on", "nothing listens on port %d of %s", at.Port(), hostLabel(s.req.Host))
	}
	for _, l := range answering {
		if l.UID > 0 && l.UID != r.facts.UID && (l.PID == 0 || l.PID != r.target.PID) {
			s.warn(fmt.Sprintf("the debug server at %s belongs to another user (uid %d): your front end speaks to a program of theirs", at, l.UID))
		}
		if ip, err := netip.ParseAddr(l.Addr); err == nil && ip.IsUnspecified() {
			s.warn(fmt.Sprintf("the debug server listens on %s port %d: everybody who reaches the host can run code in the program", l.Addr, l.Port))
		}
	}
	return nil
}
