package tunnel

import "time"

// Hop is one SSH server on the way, as the user's ssh configuration describes it. Paths are absolute and tokens expanded.
type Hop struct {
	Alias                 string // as the user wrote it
	HostName              string
	Port                  int
	User                  string
	IdentityFiles         []string // in order; a missing one is no error
	IdentitiesOnly        bool
	IdentityAgent         string // socket path; "" is the caller's SSH_AUTH_SOCK; "none" is no agent
	HostKeyAlias          string
	UserKnownHostsFiles   []string
	GlobalKnownHostsFiles []string
	ConnectTimeout        time.Duration // 0: our default
	ServerAliveInterval   time.Duration // 0: our default
	ServerAliveCountMax   int           // 0: our default
	// Warnings name options that matter here and are not honoured.
	Warnings []string
}
