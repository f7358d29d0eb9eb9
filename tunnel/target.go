package tunnel

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hop is one SSH server on the way, as the user's ssh configuration describes it. Paths are absolute and tokens expanded.
type Hop struct {
	Alias                 string // as the user wrote it
	HostName              string // a name or an IP address, IPv6 without brackets
	Port                  int    // 0 is 22
	User                  string
	AddressFamily         string   // "inet", "inet6"; "" is any
	IdentityFiles         []string // in order; a missing one is no error
	IdentitiesOnly        bool
	IdentityAgent         string // socket path; "" is the caller's SSH_AUTH_SOCK; "none" is no agent
	HostKeyAlias          string
	UserKnownHostsFiles   []string
	GlobalKnownHostsFiles []string
	ConnectTimeout        time.Duration // 0: our default
	ServerAliveInterval   time.Duration // 0: our default
	ServerAliveCountMax   int           // 0: our default
	// ProxyCommand is a command that ssh would reach this hop through. We run none, so a hop that has one is refused:
	// connecting past it would be another machine.
	ProxyCommand string
	// Warnings name options that matter here and are not honoured.
	Warnings []string
}

// addr is the address to dial, host:port.
func (h *Hop) addr() string {
	port := h.Port
	if port == 0 {
		port = 22
	}
	return net.JoinHostPort(h.HostName, strconv.Itoa(port))
}

// name is what messages call the hop.
func (h *Hop) name() string {
	if h.Alias != "" {
		return h.Alias
	}
	return h.HostName
}

func (h *Hop) clone() Hop {
	c := *h
	c.IdentityFiles = slices.Clone(h.IdentityFiles)
	c.UserKnownHostsFiles = slices.Clone(h.UserKnownHostsFiles)
	c.GlobalKnownHostsFiles = slices.Clone(h.GlobalKnownHostsFiles)
	c.Warnings = slices.Clone(h.Warnings)
	return c
}

// Target is a resolved, immutable chain of hops; the last one is where programs are debugged. The zero Target has no hop and
// cannot be dialled.
type Target struct {
	hops []Hop
	key  string
}

// NewTarget makes a Target of the hops in the order in which they are passed.
func NewTarget(hops []Hop) Target {
	t := Target{hops: make([]Hop, 0, len(hops))}
	for i := range hops {
		t.hops = append(t.hops, hops[i].clone())
	}
	t.key = targetKey(t.hops)
	return t
}

// Key names the target in the pool: two targets have the same key where one connection serves both. It begins with what a
// person would recognise (user@host:port, nearest hop last) and ends in a digest of all that shapes the connection.
func (t Target) Key() string { return t.key }

// Hops returns a copy of the chain.
func (t Target) Hops() []Hop {
	hops := make([]Hop, 0, len(t.hops))
	for i := range t.hops {
		hops = append(hops, t.hops[i].clone())
	}
	return hops
}

// Last returns the hop that the target is about; the zero Hop where the target has none.
func (t Target) Last() Hop {
	if len(t.hops) == 0 {
		return Hop{}
	}
	return t.hops[len(t.hops)-1].clone()
}

// Warnings gathers what the hops say is not honoured; those of a jump host are marked with its name.
func (t Target) Warnings() []string {
	var all []string
	for i := range t.hops {
		for _, w := range t.hops[i].Warnings {
			if i < len(t.hops)-1 {
				w = t.hops[i].name() + ": " + w
			}
			all = append(all, w)
		}
	}
	return all
}

func targetKey(hops []Hop) string {
	if len(hops) == 0 {
		return ""
	}
	digest := sha256.New()
	var words []string
	for _, h := range slices.Backward(hops) {
		words = append(words, h.User+"@"+h.addr())
		h.Alias, h.Warnings = "", nil // they say how the hop was asked for, not what it is
		blob, err := json.Marshal(h)
		if err != nil {
			panic("tunnel: a Hop cannot be encoded: " + err.Error()) // plain fields only
		}
		digest.Write(blob)
		digest.Write([]byte{'\n'})
	}
	return strings.Join(words, " via ") + " #" + hex.EncodeToString(digest.Sum(nil)[:6])
}
