package tunnel

import (
	"net"
	"strconv"
	"strings"
)

// ForwardKind is a kind of forward, by ssh's letters -L, -R and -D.
type ForwardKind string

// The kinds.
const (
	ForwardLocal  ForwardKind = "local"  // listens here, connects from the far side
	ForwardRemote ForwardKind = "remote" // listens on the far side, connects from here; without a target it is a SOCKS server there
	ForwardSocks  ForwardKind = "socks"  // a SOCKS server here, connects from the far side
)

// letter is ssh's option for the kind.
func (k ForwardKind) letter() string {
	switch k {
	case ForwardRemote:
		return "-R"
	case ForwardSocks:
		return "-D"
	}
	return "-L"
}

// Endpoint is where a forward listens or leads to: a unix socket's Path, or Host and Port.
type Endpoint struct {
	Host string // where it listens: "" is what ssh takes there (loopback, or all with GatewayPorts), "*" is all; without brackets
	Port int    // where it listens: 0 asks for a free one
	Path string // absolute
}

// String is what ssh would be given for it: "/path", "8080", "[::1]:8080".
func (e Endpoint) String() string {
	switch {
	case e.Path != "":
		return e.Path
	case e.Host == "":
		return strconv.Itoa(e.Port)
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(e.Port))
}

// dialled is the endpoint as Dial takes it.
func (e Endpoint) dialled() (network, address string) {
	if e.Path != "" {
		return "unix", e.Path
	}
	return "tcp", net.JoinHostPort(e.Host, strconv.Itoa(e.Port))
}

// ForwardSpec says what a forward is.
type ForwardSpec struct {
	Kind   ForwardKind
	Listen Endpoint
	Target Endpoint // the zero Endpoint for SOCKS
}

// socks tells whether clients name the target themselves.
func (s ForwardSpec) socks() bool { return s.Target == Endpoint{} }

// String is the specification as ParseForward takes it.
func (s ForwardSpec) String() string {
	text := escapePath(s.Listen)
	if !s.socks() {
		text += ":" + escapePath(s.Target)
	}
	return text
}

// escapePath puts a backslash before what would end a path (readconf.c, parse_fwd_field).
func escapePath(e Endpoint) string {
	if e.Path == "" {
		return e.String()
	}
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(e.Path)
}
