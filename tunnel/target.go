package tunnel

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
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
	// ProxyCommand is a command line for /bin/sh whose standard input and output lead to this hop; tokens expanded, "" is none. Only the first
	// hop of a chain may have one.
	ProxyCommand string
	BindAddress  string // an address of this machine to connect from; "" is any
	// BindInterface is the name of a network interface of this machine whose address to connect from; "" is any.
	BindInterface string

	CertificateFiles         []string // beside those that are found next to an identity file (KEY-cert.pub)
	PreferredAuthentications []string // methods in the order to try, as the option has them; empty: ssh's order
	PubkeyAuthentication     string   // "yes", "no"; "" is yes. unbound and host-bound count as yes
	PasswordAuthentication   string   // "yes", "no"; "" is yes
	KbdInteractive           string   // KbdInteractiveAuthentication: "yes", "no"; "" is yes
	NumberOfPasswordPrompts  int      // 0: 3
	PubkeyAcceptedAlgorithms []string // signature algorithms; empty: our default
	AddKeysToAgent           string   // "yes", "confirm", "ask", "no" or a time; "" is no
	ForwardAgent             string   // as the configuration has it: "yes", a path, or "". It is reported, never obeyed by itself
	LendAgent                bool     // commands there reach the user's agent: whoever runs that host can sign with the user's keys

	StrictHostKeyChecking string // "yes", "accept-new", "no" (off), "ask"; "" is ask
	HashKnownHosts        bool
	// KnownHostsCommand is parted into words as ssh does it, without a shell. The tokens that only a connection knows are left in (%f, %H, %I, %K,
	// %t, and %% for a percent sign), all others expanded.
	KnownHostsCommand     string
	RevokedHostKeys       []string // files
	HostKeyAlgorithms     []string // empty: our default, ordered by what is known of the host
	CASignatureAlgorithms []string // empty: our default
	KexAlgorithms         []string // empty: our default
	Ciphers               []string // empty: our default
	MACs                  []string // empty: our default
	RekeyLimit            uint64   // bytes; 0: the cipher's default

	// SetEnv are variables, NAME=value, that each command on the hop asks the server to set. It does only where its AcceptEnv lets it.
	SetEnv []string

	// ControlPath is where a ControlMaster of the user's may listen: tokens expanded; "" is nowhere.
	ControlPath string

	Forwards             []ForwardSpec // LocalForward, RemoteForward and DynamicForward, in that order
	ExitOnForwardFailure bool
	GatewayPorts         bool        // local forwards without a bind address listen on all addresses
	StreamLocalBindMask  fs.FileMode // 0: 0177
	StreamLocalUnlink    bool        // StreamLocalBindUnlink

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
	c.CertificateFiles = slices.Clone(h.CertificateFiles)
	c.PreferredAuthentications = slices.Clone(h.PreferredAuthentications)
	c.PubkeyAcceptedAlgorithms = slices.Clone(h.PubkeyAcceptedAlgorithms)
	c.RevokedHostKeys = slices.Clone(h.RevokedHostKeys)
	c.HostKeyAlgorithms = slices.Clone(h.HostKeyAlgorithms)
	c.CASignatureAlgorithms = slices.Clone(h.CASignatureAlgorithms)
	c.KexAlgorithms = slices.Clone(h.KexAlgorithms)
	c.Ciphers = slices.Clone(h.Ciphers)
	c.MACs = slices.Clone(h.MACs)
	c.SetEnv = slices.Clone(h.SetEnv)
	c.Forwards = slices.Clone(h.Forwards)
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

// LendingAgent is the target with the user's agent lent to its last hop, for users who say so in a configuration of ours.
func (t Target) LendingAgent() Target {
	hops := t.Hops()
	if len(hops) == 0 {
		return t
	}
	last := &hops[len(hops)-1]
	last.LendAgent = true
	last.Warnings = slices.DeleteFunc(last.Warnings, func(w string) bool { return strings.HasPrefix(w, "ForwardAgent ") })
	return NewTarget(hops)
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
		h.Forwards = nil              // nor does what else is to go over the connection shape it
		blob, err := json.Marshal(h)
		if err != nil {
			panic("tunnel: a Hop cannot be encoded: " + err.Error()) // plain fields only
		}
		digest.Write(blob)
		digest.Write([]byte{'\n'})
	}
	return strings.Join(words, " via ") + " #" + hex.EncodeToString(digest.Sum(nil)[:6])
}
