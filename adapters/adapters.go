package adapters

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
	Attach Mode = "attach" // the program runs already, and is put under a debug server
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
	// Recognise says whether a process is one of this language, and what it has to do with debugging.
	Recognise(Running) (Found, bool)
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
	OS          string // "linux", "darwin", as Go names them
	Home        string
	Path        string // PATH of the login shell
	OtherUsers  int    // other accounts that could log in there
	StreamLocal bool   // unix sockets there can be reached
}

// Request is what the user asked for, and what is known by now.
type Request struct {
	Mode         Mode
	Program      []string // what stood behind --
	Port         int      // mode Port
	Cwd          string   // --cwd; "" is the default
	LocalCwd     string   // where the user stands on their own machine
	Env          []string // --env, K=V
	Interpreter  string   // --interpreter: nothing else will do
	Interpreters []string // the configuration's, tried before what is found there
	Wait         bool     // the program waits for the front end
	Stock        bool     // start the debug server exactly as its makers do
	Target       Running  // mode Attach: the process, which Recognise knows
	Sudo         bool     // scripts and programs run through sudo on the host

	Host      Host
	Workspace string // our private directory there
	Attempt   int    // 0, then 1, 2, … after a Failure with Retry
	Random    uint32 // for a port that must be chosen; fresh at each attempt
	// Facts is what the probes printed, by their keys.
	Facts map[string]string
}
