package tunnel

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// farSockets reads which sockets listen on a TCP port of the far side; none where that cannot be told, as where the host runs no commands.
func farSockets(ctx context.Context, link *Link, port int) (found []Listener) {
	looking, cancel := context.WithTimeout(ctx, listenWait)
	defer cancel()
	all, err := newShellHost("", link, nil, func() {}).Listeners(looking)
	if err != nil {
		return nil
	}
	for _, l := range all {
		if l.Port == port {
			found = append(found, l)
		}
	}
	return found
}

// farHolder says who has a port of the far side, "" where that is not known.
func (f *Forward) farHolder(ctx context.Context, link *Link, port int) string {
	for _, l := range farSockets(ctx, link, port) {
		switch {
		case l.PID != 0:
			return fmt.Sprintf("port %d there is process %d's", port, l.PID)
		case l.UID >= 0:
			return fmt.Sprintf("port %d there is taken by a process of user id %d", port, l.UID)
		}
	}
	return ""
}

// lookFar finds out on which addresses the server listens, and shows it, unless the server listens anew meanwhile.
func (f *Forward) lookFar(ctx context.Context, link *Link, bound Endpoint) {
	shown, note := bound, ""
	if bound.Path == "" {
		shown.Host, note = farAddress(bound.Host, farSockets(ctx, link, bound.Port))
	}
	f.mu.Lock()
	current := f.bound == bound && f.state == ForwardUp
	if current {
		f.bound, f.looked = shown, true
		f.note = strings.Join(slices.DeleteFunc([]string{f.note, note}, func(s string) bool { return s == "" }), "; ")
	}
	f.mu.Unlock()
	if !current {
		return
	}
	if note != "" {
		f.log.Warn("remote forward", "note", note)
	}
	f.changed()
}

// farAddress is where sockets say that the server listens which was asked to listen on an address, and what the user should know of it:
// GatewayPorts in its sshd_config changes what it was asked for, both ways, and it does not say so (channels.c, channel_fwd_bind_addr).
func farAddress(asked string, sockets []Listener) (host, note string) {
	if len(sockets) == 0 {
		return asked, ""
	}
	narrow := true
	for _, l := range sockets {
		addr, err := netip.ParseAddr(l.Addr)
		narrow = narrow && err == nil && addr.IsLoopback()
	}
	addr, err := netip.ParseAddr(asked)
	wantsNarrow := asked == "localhost" || err == nil && addr.IsLoopback()
	switch {
	case narrow && !wantsNarrow:
		return "localhost", fmt.Sprintf("the server listens on loopback only, not on %s: GatewayPorts is off in its sshd_config", asked)
	case !narrow && wantsNarrow:
		return "*", "the server listens on all addresses, so that others reach this forward: GatewayPorts is yes in its sshd_config"
	}
	return asked, ""
}
