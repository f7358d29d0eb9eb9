package tunnel

// Caller is what a request brings along from the terminal or editor that made it. The daemon outlives that shell, so what
// it started with may be stale.
type Caller struct {
	// AuthSock is the caller's SSH_AUTH_SOCK, a path; "" where there is none.
	AuthSock string
	// Environ is what the programs get that the ssh configuration names (ProxyCommand, KnownHostsCommand), K=V each; nil is this process's own
	// environment.
	Environ []string
	// Ask reaches the person who waits for the request; nil where nobody does.
	Ask Ask
}
