package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
)

// Errors that callers classify with errors.Is. Everything that a Host or a Link returns wraps one of them where it applies.
var (
	// ErrLinkLost says that the SSH connection under an operation ended before the operation did.
	ErrLinkLost = errors.New("link lost")
	// ErrHostUnresolvable says that the name has no address, or that the ssh configuration cannot be read for it.
	ErrHostUnresolvable = errors.New("host cannot be resolved")
	// ErrUnreachable says that no connection came about: refused, timed out, no route.
	ErrUnreachable = errors.New("host unreachable")
	// ErrAuth says that the host refused every key that we could offer.
	ErrAuth = errors.New("authentication refused")
	// ErrHostKey says that the host's key is unknown, changed or revoked.
	ErrHostKey = errors.New("host key not trusted")
	// ErrNoSuchFile says that a path does not exist on the far side.
	ErrNoSuchFile = errors.New("no such file")
	// ErrSudo says that `sudo -n` does not let us.
	ErrSudo = errors.New("sudo refused")
	// ErrNoProcesses says that the far side does not show its processes as Linux does, in /proc.
	ErrNoProcesses = errors.New("processes cannot be read")
)

// HintedError carries what a person can do about the error that it wraps.
type HintedError struct {
	Err  error
	Hint string
}

func (e *HintedError) Error() string { return e.Err.Error() }
func (e *HintedError) Unwrap() error { return e.Err }

// Host is the far side as a session sees it. Its first implementation runs everything over plain SSH channels, another is
// this machine without SSH. The broker does not care which one it has.
//
// All methods are safe for concurrent use and bounded by ctx.
type Host interface {
	// Name is what the user called the host; "" for this machine.
	Name() string
	// Facts tells what the far side is. It is asked once and kept for the life of the Host.
	Facts(ctx context.Context) (Facts, error)
	// Run carries out a POSIX shell script that ends by itself and returns what it printed. The script travels on standard
	// input, so that no login shell quotes it and no process table shows it. A non-zero exit is in Result, not an error.
	Run(ctx context.Context, script string) (Result, error)
	// Start starts a long-lived process in a session and process group of its own. It is recorded in spec.Workspace before
	// its program runs, so that Reap finds it whatever happens to us.
	Start(ctx context.Context, spec Spec) (Process, error)
	// Dial connects from the far side to an address there. network is "tcp" or "unix".
	Dial(ctx context.Context, network, address string) (net.Conn, error)

	ReadFile(ctx context.Context, path string, max int64) ([]byte, error)
	// WriteFile makes or replaces a file with permission bits perm.
	WriteFile(ctx context.Context, path string, data []byte, perm uint32) error

	// MakeWorkspace makes the directory path, which must not exist, with mode 0700. The broker chose the name (Facts.TempDir
	// plus NewWorkspaceName), and wrote it to its ledger first.
	MakeWorkspace(ctx context.Context, path string) error
	// Adopt records a further process (one that escaped the session of its parent) in a workspace for Reap.
	Adopt(ctx context.Context, workspace string, pid int, spare bool) (ProcessID, error)
	// Reap ends every process recorded in a workspace together with the rest of its session, removes the workspace, looks
	// again, and returns what is left in words ("process 4242 (python3)", "file /tmp/x"). A process is signalled only where
	// boot id, pid and start time match. A workspace that is not there is not an error.
	Reap(ctx context.Context, workspace string) (left []string, err error)
	// Listeners reads the TCP sockets that listen on the far side. PID is 0 where it cannot be told.
	Listeners(ctx context.Context) ([]Listener, error)

	// Processes reads the process table as far as it is shown to us, zombies and this very script left out.
	Processes(ctx context.Context) ([]ProcessInfo, error)
	// AsRoot is the same far side with every script and program run through `sudo -n`. It shares this Host's connection and ends with
	// it; Dial and Release are this Host's own. Where sudo does not let us, its methods return ErrSudo with sudo's words.
	AsRoot() Host
	// HandOver makes a unix socket that a Host of AsRoot has in a workspace usable by the login user, and by nobody else.
	HandOver(ctx context.Context, workspace, socket string) error

	// Done is closed when the Host is of no more use: its connection is lost or closed. Err then tells why.
	Done() <-chan struct{}
	Err() error
	// Warnings tells what of the user's ssh configuration matters and is not honoured.
	Warnings() []string
	// Release gives the Host back to the pool. It does not end what was started: Reap does.
	Release()
}

// Facts is what a Host knows of its far side.
type Facts struct {
	OS         string // "linux", "darwin", as Go names them
	Arch       string // "amd64", "arm64", …
	BootID     string // changes at each boot
	UID        int
	User       string
	Home       string
	Shell      string // the login shell, a path
	Path       string // PATH as the login shell sets it
	TempDir    string // where workspaces go: private to nobody, short, local
	OtherUsers int    // accounts besides root and us that could log in
	HasProc    bool   // /proc is there
}

// Result is what a script left behind.
type Result struct {
	Stdout []byte // at most 4 MiB, after our marker: noise of login scripts is cut off
	Stderr []byte // at most 256 KiB, the last of it
	Code   int
}

// Spec is a process to start.
type Spec struct {
	Workspace string   // made by MakeWorkspace
	Argv      []string // Argv[0]: an absolute path
	Env       []string // K=V, added to what the login gives
	Cwd       string   // absolute; "" is home
	// Spare says that SIGKILL must never reach the process itself (Delve: its target would die of its breakpoints). The rest
	// of its session may be killed.
	Spare bool
	// Stdin gives the process a standard input that Process.Stdin writes to. Else it is /dev/null. A process that has one and ends takes
	// its workspace along: the end of its input may be that of the link, after which nobody else would.
	Stdin bool
}

// Process is a running program on a Host.
type Process interface {
	ID() ProcessID
	// Stdin is nil without Spec.Stdin. Closing it is end of file for the process, and lets it end by itself for a few seconds before
	// it is ended as Release does it.
	Stdin() io.WriteCloser
	Stdout() io.Reader // ends when the process and its heirs have closed it, or the link is lost
	Stderr() io.Reader
	// Wait returns when the process has ended, the link is lost (ErrLinkLost) or ctx is done.
	Wait(ctx context.Context) (Exit, error)
	// Release closes the channel to the process. What still runs is then ended at the far side as Reap does it.
	Release()
}

// ProcessID names a process for ever: pids are used again, the three together are not.
type ProcessID struct {
	Boot  string `json:"boot"`
	PID   int    `json:"pid"`
	Start string `json:"start"` // start time in the far side's own unit
}

// Exit is how a process ended: by itself with Code, or by a signal (its name without SIG).
type Exit struct {
	Code   int
	Signal string
}

// Listener is a listening TCP socket.
type Listener struct {
	Addr string // textual IP address
	Port int
	UID  int
	PID  int // 0: unknown
}
