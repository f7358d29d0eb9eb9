package adapters

import (
	"context"
	"net"
	"regexp"
	"time"
)

// Protocol is what a front end speaks on the session's local port.
type Protocol string

// The protocols.
const (
	DAP  Protocol = "dap"
	CDP  Protocol = "cdp"
	JDWP Protocol = "jdwp"
)

// Mode is how a session gets at its program.
type Mode string

// The modes.
const (
	Launch Mode = "launch" // we start the program under a debug server
	Port   Mode = "port"   // a debug server listens already
)

// Adapter knows one language's debug server. Probe and Plan are pure: they do no I/O, keep no state, and the same request gives
// the same answer. The broker carries out what they ask for.
type Adapter interface {
	// Name is the language as CLI.md spells it; Aliases are other names that users give it.
	Name() string
	Aliases() []string
	// Protocol is what front ends speak to it.
	Protocol() Protocol
	// Check refuses a request that can never work, before any host is asked.
	Check(Request) error
	// Probe returns what must be asked of the host before Plan can decide. The scripts are POSIX sh, and change nothing there.
	Probe(Request) []Command
	// Plan decides. What the probes printed is in req.Facts. Errors are *Error.
	Plan(Request) (Plan, error)
}

// Command is a question to the host.
type Command struct {
	Key    string // its answer's key in Request.Facts
	Script string // POSIX sh, run by /bin/sh with standard input from /dev/null
}

// Host is what an adapter may know of the far side.
type Host struct {
	OS, Arch    string
	Home        string
	Shell       string
	Path        string // PATH of the login shell
	OtherUsers  int    // other accounts that could log in there
	StreamLocal bool   // unix sockets there can be reached
	HasProc     bool
}

// Request is what the user asked for, and what is known by now.
type Request struct {
	Mode         Mode
	Program      []string // what stood behind --
	Port         int      // mode Port
	Cwd          string   // --cwd; "" is the default
	LocalCwd     string   // where the user stands
	Env          []string // K=V
	Interpreter  string   // --interpreter
	Interpreters []string // the config's, tried first (python)
	Wait         bool     // the program waits for the front end
	Stock        bool     // start the debug server exactly as its makers do (python: no TCP_NODELAY)
	Host         Host
	Workspace    string // our private directory there
	Attempt      int    // 0, then 1, 2, … after a plan's Retry matched
	Random       uint32 // for a fixed port; fresh at each attempt
	Facts        map[string]string
}

// Dial opens a fresh connection to the debug server.
type Dial func(ctx context.Context) (net.Conn, error)

// Plan is how one debug server is started, known to be ready, spoken to and ended. It is data, but for the exchanges, which are
// short conversations in the server's own protocol over connections that the broker opens.
type Plan struct {
	Server string // "debugpy 1.6.6"
	// Argv is empty in mode Port.
	Argv []string
	Env  []string // K=V
	Cwd  string   // the debuggee's working directory
	// ServerCwd is where the server itself is started if that is not Cwd: Delve builds there, and then starts the debuggee in Cwd.
	ServerCwd string
	Files     []File // written into the workspace before the start
	Spare     bool   // never SIGKILL the server

	Program []string // the debuggee's command line as the user would write it
	Ready   Ready
	Network string // "tcp" or "unix"
	Address string // known ahead, or "" when Ready tells it

	Protocol Protocol
	// Announced is told what the groups of Ready.Line matched, before any other exchange: node's websocket has a path that only the
	// announcement tells. May be nil.
	Announced func(addr, path string)
	// RPC says that Delve's JSON-RPC is served on the same port, told apart by the first byte.
	RPC bool
	// OneClient: a further front end is refused while one is there (children of a debugpy session are not further front ends). With
	// RPC it counts DAP front ends only: Delve serves any number of JSON-RPC clients beside one, but never answers the attach of a
	// second one while the first lets the program run.
	OneClient bool
	// Started runs once when the server is ready and its endpoint can be reached. It may tell the debuggee's pid. May be nil:
	// the server process itself is then the debuggee.
	Started func(ctx context.Context, dial Dial) (Started, error)
	// BeforeFirst runs before the first front end of a round is let in. May be nil.
	// AfterLast runs when the last front end has gone: the program must run on without that client's breakpoints. May be nil:
	// the server does so by itself.
	BeforeFirst func(ctx context.Context, dial Dial) error
	AfterLast   func(ctx context.Context, dial Dial) error
	// Watch blocks until the debuggee has ended. May be nil: the server's own exit tells.
	Watch func(ctx context.Context, dial Dial) (Exit, error)
	// Stop asks the server to end together with its program, before signals do. May be nil.
	Stop func(ctx context.Context, dial Dial) error

	// ServerLine recognises lines of output that come from the debug server, not from the program. May be nil.
	ServerLine *regexp.Regexp
	// Ending recognises a line of output that says that the program has ended and only front ends keep the server alive. May be nil.
	Ending *regexp.Regexp
	// Failures translate output of a start that failed; the first match wins.
	Failures []Failure
	// CloseOnExit: the escaped helper processes to look for by the port they listen on (debugpy's adapter).
	AdoptListener bool
	// Exposed says that other users of the remote could connect to the endpoint. SecretPath: the server turns away who does not
	// know the path that it announced.
	Exposed, SecretPath bool
	Warnings            []string
	// ReadyLines are recognised in the output while starting and tell the user something (python: "stock debugpy: why").
	Notices *regexp.Regexp // submatch 1 becomes a warning
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

// Started is what Plan.Started learned.
type Started struct {
	PID      int    // the debuggee's, 0 if unknown
	WSPath   string // CDP: the websocket's path
	Version  string // server version, "" if unknown
	Warnings []string
}

// Exit is how a debuggee ended.
type Exit struct {
	Code   int
	Signal string // name without SIG, "" if it ended by itself
}

// Failure names what a server's output means.
type Failure struct {
	Match   *regexp.Regexp
	Code    Code
	Message string // may use $1 of Match
	Hint    string
	Retry   bool // plan again with Attempt+1 and a fresh Random, a few times
}

// Code classifies an Error for exit codes.
type Code string

// The codes.
const (
	Usage    Code = "usage"         // the request makes no sense
	NotFound Code = "not-found"     // program, directory or listener is not there
	Missing  Code = "missing-tool"  // interpreter or debug server is not there
	Died     Code = "program-ended" // the program or its build ended before it could be debugged
	Internal Code = "internal"
)

// Error is why there is no plan.
type Error struct {
	Code    Code
	Message string
	Hint    string
}

func (e *Error) Error() string { return e.Message }
