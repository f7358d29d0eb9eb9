package broker

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// lookWait bounds the look at whether a host is this machine.
const lookWait = 5 * time.Second

// listening is another forward that listens here on a port or path that f wants.
func (m *forwards) listening(f *forward, port int) *forward {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.all {
		if o == f || !o.local() || o.carrier == nil {
			continue
		}
		if f.spec.Listen.Path != "" && o.spec.Listen.Path == f.spec.Listen.Path || port != 0 && o.spec.Listen.Path == "" && o.spec.Listen.Port == port {
			return o
		}
	}
	return nil
}

// comesBack tells whether what f would dial, on the far side or for a remote forward here, would come to f again, over forwards of ours.
func (m *forwards) comesBack(f *forward, network, address string) bool {
	at, ok := endpointOf(network, address)
	if !ok {
		return false
	}
	all := m.list()
	seen := map[*forward]bool{}
	for next := meets(all, f, at); next != nil && !seen[next]; next = follow(all, next) {
		if next == f {
			return true
		}
		seen[next] = true
	}
	return false
}

// loops tells whether a forward leads to itself.
func (m *forwards) loops(f *forward) bool {
	all := m.list()
	seen := map[*forward]bool{}
	for next := follow(all, f); next != nil && !seen[next]; next = follow(all, next) {
		if next == f {
			return true
		}
		seen[next] = true
	}
	return false
}

// here stands for this machine where a host is meant.
const here = ""

// follow is the forward that one leads to: the one that listens where it connects to. A SOCKS server leads wherever its clients want.
func follow(all []*forward, f *forward) *forward {
	if f.spec.Target == (tunnel.Endpoint{}) {
		return nil
	}
	return meets(all, f, f.spec.Target)
}

// meets is the forward that a connection of f to an address comes to.
func meets(all []*forward, f *forward, at tunnel.Endpoint) *forward {
	if f.spec.Kind == tunnel.ForwardRemote {
		return listenerAt(all, at, here)
	}
	if next := listenerAt(all, at, f.host); next != nil || !f.link.isHere.Load() {
		return next
	}
	return listenerAt(all, at, here)
}

// listenerAt is the forward that listens at an address as the machine itself would dial it.
func listenerAt(all []*forward, at tunnel.Endpoint, machine string) *forward {
	i := slices.IndexFunc(all, func(f *forward) bool {
		switch {
		case f.local() != (machine == here), !f.local() && f.host != machine:
			return false
		case at.Path != "" || f.spec.Listen.Path != "":
			return at.Path == f.spec.Listen.Path
		}
		return f.port() == at.Port && at.Port != 0 && loopback(at.Host)
	})
	if i < 0 {
		return nil
	}
	return all[i]
}

// port is the one that the forward listens on as far as that is known.
func (f *forward) port() int {
	f.m.mu.Lock()
	c := f.carrier
	f.m.mu.Unlock()
	if c != nil {
		if port := c.Status().Listen.Port; port != 0 {
			return port
		}
	}
	return f.spec.Listen.Port
}

// loopback tells whether a name means the machine that it is said on.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.Unmap().IsLoopback() || ip.IsUnspecified())
}

func endpointOf(network, address string) (tunnel.Endpoint, bool) {
	if network == "unix" {
		return tunnel.Endpoint{Path: address}, true
	}
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return tunnel.Endpoint{}, false
	}
	port, err := strconv.Atoi(text)
	return tunnel.Endpoint{Host: host, Port: port}, err == nil
}

// lookHere finds out whether a connected host is this very machine, where one of the forwards would then lead to a listener of ours. Its
// address does not tell: a container's or a virtual machine's port is on loopback too. That our own process listens there does.
func (m *forwards) lookHere(ctx context.Context, host tunnel.Host, fs []*forward) {
	all := m.list()
	i := slices.IndexFunc(fs, func(f *forward) bool {
		return f.local() && listenerAt(all, f.spec.Target, here) != nil
	})
	if i < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	list, err := host.Listeners(ctx)
	if err != nil {
		m.log.Debug("look at the host's listeners", "host", host.Name(), "error", err)
		return
	}
	want := listenerAt(all, fs[i].spec.Target, here)
	if want != nil && slices.ContainsFunc(list, func(l tunnel.Listener) bool { return l.PID == os.Getpid() && l.Port == want.port() }) {
		fs[i].link.isHere.Store(true)
	}
}

func errLoop(f *forward) error {
	return apiErrorf(api.CodeForwardLoop, "give another port on one of its ends", "%s on %s leads back to where %s listens", f.spec.Target, f.host, listenText(f.spec.Listen))
}
