package broker

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
	"github.com/debugbroker/debugbroker/tunnel/sshconfig"
)

// Hosts turns the names that users give into tunnel.Hosts: it resolves them in the ssh configuration and asks the pool for the link.
type Hosts struct {
	resolver *sshconfig.Resolver
	pool     *tunnel.Pool
	local    func() tunnel.Host
	// forwardsAgent tells, by name, whether programs on a host may use the user's agent. It is set before requests come.
	forwardsAgent func(name string) bool

	mu     sync.Mutex
	caller api.Caller               // the newest that came with a request
	known  map[string]tunnel.Target // by name, as last resolved; for showing links
	facts  map[string]knownFacts    // by name

	noStreamLocal map[string]bool // names of hosts whose unix sockets have turned out not to be reachable

	needy         map[string]bool              // names of hosts whose last connect met what only a person can mend
	needed        func(name string, err error) // hears when one becomes so
	authenticated []func(name string)          // hear when a person has let us in, or has mended what kept us out
}

// factsAge is how long a host's facts are believed: login scripts and accounts change seldom, and asking costs a login shell.
const factsAge = 10 * time.Minute

// knownFacts are a host's facts as one life of its link found them.
type knownFacts struct {
	tunnel.Facts
	target     string // its key: the name may come to mean another machine
	asked      time.Time
	reconnects int
}

// NewHosts joins a resolver and a pool. local returns a Host for this machine.
func NewHosts(r *sshconfig.Resolver, p *tunnel.Pool, local func() tunnel.Host) *Hosts {
	return &Hosts{
		resolver: r, pool: p, local: local, forwardsAgent: func(string) bool { return false },
		known: make(map[string]tunnel.Target), facts: make(map[string]knownFacts), noStreamLocal: make(map[string]bool),
		needy: make(map[string]bool), needed: func(string, error) {},
	}
}

// Remember keeps what a caller brought of its shell's environment, for work that no request waits for.
func (h *Hosts) Remember(c api.Caller) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.caller = over(c, h.caller)
}

// over is what c brought, and what it did not bring from base.
func over(c, base api.Caller) api.Caller {
	return api.Caller{
		SSHAuthSock: cmp.Or(c.SSHAuthSock, base.SSHAuthSock), KRB5CCName: cmp.Or(c.KRB5CCName, base.KRB5CCName),
		Display: cmp.Or(c.Display, base.Display), Path: cmp.Or(c.Path, base.Path),
	}
}

// Connect returns a Host; "" is this machine. The caller releases it. own is what the request brought, which counts more than what is
// remembered of others. progress is told what is being waited for. Nobody is asked anything: a host that asks is an error that wraps
// tunnel.ErrNeedsAuth.
func (h *Hosts) Connect(ctx context.Context, name string, own api.Caller, progress func(string)) (tunnel.Host, error) {
	return h.ConnectAsking(ctx, name, own, nil, progress)
}

// ConnectAsking is Connect for a request that somebody waits for, whom ask reaches; nil is nobody.
func (h *Hosts) ConnectAsking(ctx context.Context, name string, own api.Caller, ask tunnel.Ask, progress func(string)) (tunnel.Host, error) {
	if name == "" {
		return h.local(), nil
	}
	progress("reading the ssh configuration for " + name)
	target, caller, err := h.resolve(ctx, name, own)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.known[name] = target
	h.mu.Unlock()
	host, err := h.pool.Host(ctx, name, target, tunnel.Caller{AuthSock: caller.SSHAuthSock, Environ: environ(caller), Ask: ask}, progress)
	h.note(name, err)
	return host, err
}

// resolve reads the ssh configuration for a name. caller is what the request brought, over what is remembered of others.
func (h *Hosts) resolve(ctx context.Context, name string, own api.Caller) (target tunnel.Target, caller api.Caller, err error) {
	h.mu.Lock()
	caller = over(own, h.caller)
	h.mu.Unlock()
	target, err = h.resolver.Resolve(ctx, name, environ(caller))
	if err == nil && h.forwardsAgent(name) {
		target = target.LendingAgent()
	}
	return target, caller, err
}

// keep makes a keeper of the link to a host: each dial reads the ssh configuration anew.
func (h *Hosts) keep(name string, changed func()) keeper {
	var k *tunnel.Keeper
	k = tunnel.NewKeeper(h.pool, tunnel.KeeperOptions{
		Name: name,
		Changed: func() {
			switch st := k.Status(); st.State {
			case tunnel.LinkNeedsAuth, tunnel.LinkUp:
				h.note(name, st.Err)
			}
			changed()
		},
		Resolve: func(ctx context.Context) (tunnel.Target, tunnel.Caller, error) {
			target, caller, err := h.resolve(ctx, name, api.Caller{})
			if err != nil {
				return tunnel.Target{}, tunnel.Caller{}, err
			}
			h.mu.Lock()
			h.known[name] = target
			h.mu.Unlock()
			return target, tunnel.Caller{AuthSock: caller.SSHAuthSock}, nil
		},
	})
	return k
}

// Facts tells what a connected host is, from memory where its link has not been lost since.
func (h *Hosts) Facts(ctx context.Context, host tunnel.Host) (tunnel.Facts, error) {
	reconnects := 0
	if l := h.Link(host.Name()); l != nil {
		reconnects = l.Reconnects
	}
	h.mu.Lock()
	target := h.known[host.Name()].Key()
	k, ok := h.facts[host.Name()]
	h.mu.Unlock()
	if ok && k.target == target && k.reconnects == reconnects && time.Since(k.asked) < factsAge {
		return k.Facts, nil
	}
	f, err := host.Facts(ctx)
	if err != nil {
		return f, fmt.Errorf("look at %s: %w", hostLabel(host.Name()), err)
	}
	h.mu.Lock()
	h.facts[host.Name()] = knownFacts{Facts: f, target: target, asked: time.Now(), reconnects: reconnects}
	h.mu.Unlock()
	return f, nil
}

// Link tells the state of a host's link, nil where there never was one.
func (h *Hosts) Link(name string) *api.Link {
	if name == "" {
		return &api.Link{State: "local"}
	}
	h.mu.Lock()
	target, ok := h.known[name]
	h.mu.Unlock()
	if !ok {
		return nil
	}
	st, ok := h.pool.Status(target.Key())
	if !ok {
		return &api.Link{State: "down"}
	}
	return &api.Link{State: st.State, RTT: float64(st.RTT.Microseconds()) / 1000, Reconnects: st.Reconnects, Error: asAPI(st.Err)}
}

// Names lists the concrete hosts of the ssh configuration. It runs no `ssh -G`: that takes time, and may run programs of the user's.
func (h *Hosts) Names(ctx context.Context) ([]string, error) { return h.resolver.Hosts(ctx) }

// List returns the concrete hosts of the ssh configuration with what it says of them; wants are its forwards, by the hosts' names.
func (h *Hosts) List(ctx context.Context) (list []api.Host, wants map[string][]tunnel.ForwardSpec, err error) {
	names, err := h.resolver.Hosts(ctx)
	if err != nil {
		return nil, nil, err
	}
	h.mu.Lock()
	env := environ(h.caller)
	h.mu.Unlock()
	list, wants = make([]api.Host, 0, len(names)), make(map[string][]tunnel.ForwardSpec)
	for _, name := range names {
		host := api.Host{Name: name, Link: h.Link(name)}
		// A host that does not resolve is still a host of the file: it is listed with its name alone.
		if t, err := h.resolver.Resolve(ctx, name, env); err == nil {
			last := t.Last()
			host.HostName, host.User, host.Port = last.HostName, last.User, last.Port
			wants[name] = last.Forwards
		}
		list = append(list, host)
	}
	return list, wants, nil
}

// environ is the daemon's environment with what the caller's shell has instead: `ssh -G` may run Match exec and expand ${VAR}.
func environ(c api.Caller) []string {
	env := os.Environ()
	for _, kv := range [][2]string{{"SSH_AUTH_SOCK", c.SSHAuthSock}, {"KRB5CCNAME", c.KRB5CCName}, {"DISPLAY", c.Display}, {"PATH", c.Path}} {
		if kv[1] != "" {
			env = append(env, kv[0]+"="+kv[1]) // the last one of a name wins in os/exec
		}
	}
	return env
}

// streamLocal tells whether unix sockets on a host can be reached, as far as is known.
func (h *Hosts) streamLocal(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.noStreamLocal[name]
}

// denyStreamLocal remembers that a host's SSH server does not forward unix sockets.
func (h *Hosts) denyStreamLocal(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.noStreamLocal[name] = true
}
