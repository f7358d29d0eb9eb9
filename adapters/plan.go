package adapters

import (
	"context"
	"net"
	"regexp"
	"time"
)

// Plan is how one debug server is started, known to be ready, spoken to and ended. It is data, but for the exchanges, which are
// short conversations in the server's own protocol over connections that the broker opens. Every exchange may be nil.
type Plan struct {
	Server   string // "debugpy 1.6.6"
	Protocol Protocol

	// How it is started. Argv is empty in mode Port, where the server is there already.
	Argv []string
	Env  []string // K=V
	Cwd  string   // the debuggee's working directory
	// ServerCwd is where the server itself, of Argv or Stdio, is started if that is not Cwd: Delve builds there, and then starts the
	// debuggee in Cwd. The directory of a program that runs already may be gone, or closed to root.
	ServerCwd string
	Files     []File   // written into the workspace before the start
	Program   []string // the debuggee's command line as the user would write it
	// Stdio is started anew for each connection where Network is "stdio", and spoken to over its standard input and output. It is
	// ended with the connection.
	Stdio []string
	// Stands says that the process of Argv is not the debug server and not its program: it only stands for a program that runs already,
	// cleans up at SIGTERM, and ends when that program has ended, nobody knows how.
	Stands bool
	// Spare keeps SIGKILL from the server (tunnel.Spec has the why).
	Spare bool
	// AdoptListener says that the process which listens on the port may be another one than was started, one that has left its
	// session (debugpy's adapter): it is to be found by its port, and to be cleaned up too.
	AdoptListener bool

	// How it is known to be ready, or to have failed.
	Ready    Ready
	Failures []Failure // translate the output of a start that failed; the first match wins
	// Announced is told the "path" that Ready.Line matched, before any other exchange: only the announcement has it.
	Announced func(path string)
	// Started runs once when the server is ready, and so proves that its endpoint can be reached. It may tell the debuggee's pid;
	// where it does not, the server process itself is the debuggee.
	Started func(ctx context.Context, dial Dial) (Started, error)

	// AttachSet are members that each front end's DAP attach gets, whatever it has there, and AttachDrop those that are taken out of it.
	AttachSet  map[string]any
	AttachDrop []string

	// NeverTerminate says that front ends can neither end the program nor start another: it was there before the session.
	NeverTerminate bool

	// Where it is, and who may come.
	Network string // "tcp", "unix" or "stdio"
	Address string // "" where Ready tells it
	// RPC says that Delve's JSON-RPC is served at the same address, told apart by the first byte.
	RPC bool
	// OneClient: a further front end is refused while one is there (children of a debugpy session are not further front ends). With
	// RPC it counts DAP front ends only: Delve serves any number of JSON-RPC clients beside one, but never answers the attach of a
	// second one while the first lets the program run.
	OneClient bool
	// Exposed says that other users of the remote could connect to the endpoint. SecretPath: the server turns away who does not
	// know the path that it announced.
	Exposed, SecretPath bool
	// BeforeFirst runs before the first front end of a round is let in.
	BeforeFirst func(ctx context.Context, dial Dial) error
	// AfterLast runs when a round's last front end has gone: the program must run on without that client's breakpoints. Where it is
	// nil the server does so by itself.
	AfterLast func(ctx context.Context, dial Dial) error

	// How it ends. Watch blocks until the debuggee has ended; where it is nil the server's own exit tells.
	Watch func(ctx context.Context, dial Dial) (Exit, error)
	// Stop asks the server to end together with its program, before signals do.
	Stop func(ctx context.Context, dial Dial) error

	// What lines of its output mean. Each may be nil.
	ServerLine *regexp.Regexp // it comes from the debug server, not from the program
	Ending     *regexp.Regexp // the program has ended, and only front ends keep the server alive
	Notices    *regexp.Regexp // while it starts: submatch 1 becomes a warning

	Warnings []string // for the user
	// Leaves names, for the user, what stays on the host after the session because nothing can remove it (a JVM's debug agent).
	Leaves []string
	// Stays says that the endpoint was there before the session, or cannot be closed: that it listens after the end is no fault.
	Stays bool
}

// File is a small file that the plan needs in the workspace.
type File struct {
	Name string // base name
	Data []byte
}

// Ready tells how a started server announces that front ends may come. Never a TCP probe: it wedges some servers.
type Ready struct {
	// Line matches one line of stdout or stderr; the groups "addr" (host:port or socket path) and "path" (a websocket's path)
	// are used where they are there.
	Line *regexp.Regexp
	// EndpointFile is a file in debugpy's DEBUGPY_ADAPTER_ENDPOINTS format. One of Line and EndpointFile is set.
	EndpointFile string
	Timeout      time.Duration
	// Settle is how long the program is watched after the announcement: if it ends by then, `open` has failed.
	Settle time.Duration
	// Over matches a line of output that says that the program is ending: its exit is then waited for some time longer than Settle.
	// May be nil.
	Over *regexp.Regexp
}

// Failure names what a server's output means.
type Failure struct {
	Match   *regexp.Regexp
	Code    Code
	Message string // may use $1 of Match
	Hint    string
	Retry   bool // plan again with Attempt+1 and a fresh Random, a few times
}

// Dial opens a fresh connection to the debug server.
type Dial func(ctx context.Context) (net.Conn, error)

// Started is what Plan.Started learned.
type Started struct {
	PID     int    // the debuggee's, 0 if unknown
	WSPath  string // CDP: the websocket's path
	Version string // server version, "" if unknown
}

// Exit is how a debuggee ended.
type Exit struct {
	Code   int
	Signal string // name without SIG, "" if it ended by itself
}
