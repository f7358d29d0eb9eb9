package adapters

// Running is a process of the host, as far as the host shows it. All of it may be what a hostile user has made up, but for the
// numbers.
type Running struct {
	PID    int
	Start  string // its start time, in the host's own unit (field 22 of /proc/PID/stat)
	UID    int
	User   string
	Argv   []string
	Exe    string
	Cwd    string
	Marks  []string // "go", "libpython", "libjvm", "libnode": tunnel.ProcessInfo has the why
	Caught uint64   // caught signals, bit N-1 for signal N
	// Container is not empty where it runs in namespaces of its own.
	Container string
	// Listening are the TCP sockets on which the process listens, "127.0.0.1:5678".
	Listening []string
}

// Found is what a process has to do with debugging.
type Found struct {
	// Listening is where a debug server of this process listens, "" where there is none or where that cannot be told.
	Listening string
	// Server says that the process is a debug server itself (dlv, debugpy's adapter) and no program of the user's: it is for
	// --port, not for --pid.
	Server bool
	// FromOutside says that it can be debugged from outside of its container.
	FromOutside bool
}
