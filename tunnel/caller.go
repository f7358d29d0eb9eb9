package tunnel

// Caller is what a request brings along from the terminal or editor that made it. The daemon outlives that shell, so what
// it started with may be stale.
type Caller struct {
	// AuthSock is the caller's SSH_AUTH_SOCK, a path; "" where there is none.
	AuthSock string
	// Ask reaches the person who waits for the request; nil where nobody does.
	Ask Ask
}
