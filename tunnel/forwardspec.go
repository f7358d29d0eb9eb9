package tunnel

// ForwardKind is a kind of forward, by ssh's letters -L, -R and -D.
type ForwardKind string

// The kinds.
const (
	ForwardLocal  ForwardKind = "local"  // listens here, connects from the far side
	ForwardRemote ForwardKind = "remote" // listens on the far side, connects from here; without a target it is a SOCKS server there
	ForwardSocks  ForwardKind = "socks"  // a SOCKS server here, connects from the far side
)

// Endpoint is where a forward listens or leads to: a unix socket's Path, or Host and Port.
type Endpoint struct {
	Host string // where it listens: "" is what ssh takes there (loopback, or all with GatewayPorts), "*" is all; without brackets
	Port int    // where it listens: 0 asks for a free one
	Path string // absolute
}

// ForwardSpec says what a forward is.
type ForwardSpec struct {
	Kind   ForwardKind
	Listen Endpoint
	Target Endpoint // the zero Endpoint for SOCKS
}
