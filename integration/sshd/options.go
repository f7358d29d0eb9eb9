package sshd

// Alias is the name under which a server stands in its ssh_config unless Options.Alias says otherwise.
const Alias = "box"

// Options change how the server behaves. The zero value is a stock sshd.
type Options struct {
	Alias string // in the ssh_config; "" is "box"

	MaxSessions        int    // 0: sshd's default of 10
	MaxStartups        string // "": sshd's default
	NoTCPForwarding    bool   // AllowTcpForwarding no
	NoStreamForwarding bool   // AllowStreamLocalForwarding no

	// Shell is a path or name of the shell that plays the login shell (fish, csh, …): each command runs as `SHELL -c COMMAND`.
	// "" leaves it to the account's own.
	Shell string
	// Noise is printed on stdout and stderr before each command, as chatty login scripts do.
	Noise string
	// Env is set for every command, over what the server sets by itself: HOME (a fresh directory, see Server.Home), PATH (the test's own),
	// TMPDIR, the mark (see Server.Mark) and where Go keeps its caches.
	Env map[string]string

	// Jump is the server over which this one is reached: the ssh_config gets a ProxyJump, and both hosts.
	Jump *Server
	// Private is a shell script (set -e) that runs in a mount namespace of the server's own before it: what it mounts, the server and every
	// command over it see, and nobody else. It needs root.
	Private string
	// Address is what it listens on, an IP address; "" is 127.0.0.1.
	Address string
	// Within is a command line before the server's own, which becomes the server by exec: nsenter(1) into a network namespace.
	Within []string
	// Lines are further lines of sshd_config, before ours: sshd takes the first value of an option.
	Lines []string
}
