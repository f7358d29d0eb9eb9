package broker

import (
	"errors"

	"github.com/debugbroker/debugbroker/tunnel"
)

// NeedsAuth tells whether a host is to be left alone until a person has come.
func (h *Hosts) NeedsAuth(name string) bool {
	l := h.Link(name)
	return l != nil && l.State == tunnel.LinkNeedsAuth
}

// WhenAuthenticated has f called, with the name of the host, each time that a person has let us in or has mended what kept us out: whatever
// waits for that may try again. f must not block. It is to be called before requests come.
func (h *Hosts) WhenAuthenticated(f func(name string)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.authenticated = append(h.authenticated, f)
}

// whenNeeded has f called when a host comes to need a person, once until it needs none.
func (h *Hosts) whenNeeded(f func(name string, err error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.needed = f
}

// Authenticated tells all who wait for a host that it lets us in.
func (h *Hosts) Authenticated(name string) {
	h.mu.Lock()
	delete(h.needy, name)
	waiting := h.authenticated[:len(h.authenticated):len(h.authenticated)]
	h.mu.Unlock()
	for _, f := range waiting {
		f(name)
	}
}

// note takes in how a connect to a host ended.
func (h *Hosts) note(name string, err error) {
	h.mu.Lock()
	was, needed := h.needy[name], h.needed
	needs := errors.Is(err, tunnel.ErrNeedsAuth) || errors.Is(err, tunnel.ErrAuth) || errors.Is(err, tunnel.ErrHostKey)
	if needs {
		h.needy[name] = true
	}
	h.mu.Unlock()
	switch {
	case needs && !was:
		needed(name, err)
	case err == nil && was:
		h.Authenticated(name)
	}
}

// entered tells as whom we are on a host, and by what it was convinced.
func (h *Hosts) entered(name string) (user, by string) {
	h.mu.Lock()
	target, ok := h.known[name]
	h.mu.Unlock()
	if !ok {
		return "", ""
	}
	s, _ := h.pool.Status(target.Key())
	return s.User, s.Auth
}
