package adapters

import (
	"context"
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// debugpy is Python under Microsoft's debugpy, spoken to in DAP over TCP on the host's loopback. The `debugpy --listen` way: pydevd
// in the program, an adapter process of its own that listens. Facts of it were read in debugpy 1.6.3 and main (2026-08) and tried.
type debugpy struct{}

// NewDebugpy returns the python adapter.
func NewDebugpy() Adapter { return debugpy{} }

// Times that the plans ask for.
const (
	// debugpyReady is past debugpy's own limit for its adapter's start, 30 s, once more for a second try without our hooks.
	debugpyReady  = 75 * time.Second
	debugpySettle = 500 * time.Millisecond
)

// Names in the workspace.
const (
	// debugpyLauncher has to end so: debugpy.listen hides frames of files named debugpy_launcher.py, its own launcher's old name.
	debugpyLauncher  = "debugpy_launcher.py"
	debugpyEndpoints = "debugpy_endpoints.json"
)

func (debugpy) Name() string       { return "python" }
func (debugpy) Aliases() []string  { return []string{"py", "debugpy"} }
func (debugpy) Protocol() Protocol { return DAP }

// Check wants a port, or a script or `-m module`.
func (debugpy) Check(r Request) error {
	if err := checkRequest(r, "python", "app.py, or -- -m module"); err != nil || r.Mode != Launch {
		return err
	}
	switch {
	case r.Program[0] == "-m" && (len(r.Program) == 1 || r.Program[1] == ""):
		return &Error{Usage, "-m without a module", "name the module: -- -m package.module"}
	case r.Program[0] == "-m" && strings.HasPrefix(r.Program[1], "-"):
		return &Error{Usage, "-m without a module", "the module's name comes right after -m"}
	case r.Program[0] != "-m" && strings.HasPrefix(r.Program[0], "-"):
		return &Error{Usage, "python takes a script or -m module, not " + strconv.Quote(r.Program[0]),
			"a script of that name is ./" + r.Program[0] + "; an option of python's own can be an environment variable, as in --env PYTHONUNBUFFERED=1"}
	}
	return nil
}

// Plan starts `python -m debugpy --listen`, through the bootstrap unless Stock asks for exactly that.
func (d debugpy) Plan(r Request) (Plan, error) {
	if err := d.Check(r); err != nil {
		return Plan{}, err
	}
	p := Plan{
		Server: "debugpy", Protocol: DAP, Network: "tcp", OneClient: true, Exposed: r.Host.OtherUsers > 0,
		AfterLast: debugpyRelease(stockPause),
	}
	if r.Mode == Port {
		p.Address = loopback(r.Port)
		return p, nil
	}
	if r.Mode == Attach {
		return d.attach(r, parseFacts(r.Facts[debugpyKey]))
	}
	f := parseFacts(r.Facts[debugpyKey])
	if err := debugpyRefusal(r, f); err != nil {
		return Plan{}, err
	}
	interpreter := f.first("interpreter")
	version, _, _ := strings.Cut(f.first("debugpy"), "+")
	p.Server = "debugpy " + version
	p.Cwd = f.first("cwd")
	p.Program = append([]string{interpreter}, r.Program...)
	p.Env = r.Env
	p.AdoptListener = true
	p.Ready.Timeout = debugpyReady
	if !r.Wait {
		p.Ready.Settle = debugpySettle
	}

	p.Argv = []string{interpreter}
	if knowsFrozenModules(f.first("version")) {
		// Frames of frozen modules have no locals to trace by; debugpy warns without it.
		p.Argv = append(p.Argv, "-Xfrozen_modules=off")
	}
	nonce := r.nonce()
	p.ServerLine = regexp.MustCompile(`^debugbroker ` + nonce + ` |^\d+\.\d+s - `)
	p.Failures = debugpyFailures(nonce)
	if r.Stock || r.Attempt > 0 {
		if !r.Stock {
			p.Warnings = append(p.Warnings, "stock debugpy: "+version+" starts in a way that the fast start does not know")
		}
		p.Ready.EndpointFile = path.Join(r.Workspace, debugpyEndpoints)
		p.Env = append(p.Env[:len(p.Env):len(p.Env)], "DEBUGPY_ADAPTER_ENDPOINTS="+p.Ready.EndpointFile)
		p.Argv = append(p.Argv, "-m", "debugpy")
		// The file is there before the program is connected to the adapter, and a client that leaves in between ends the adapter.
		p.Started = func(ctx context.Context, dial Dial) (Started, error) { return Started{}, debugpyVisit(ctx, dial) }
	} else {
		p.Ready.Line = regexp.MustCompile(`^debugbroker ` + nonce + ` ready (?P<addr>127\.0\.0\.1:\d{1,5})$`)
		p.Ready.Over = regexp.MustCompile(`^debugbroker ` + nonce + ` over `)
		p.Notices = regexp.MustCompile(`^debugbroker ` + nonce + ` notice (.*)$`)
		p.AfterLast = debugpyRelease(releasePause)
		p.Files = []File{{Name: debugpyLauncher, Data: debugpyBootstrap(nonce)}}
		p.Argv = append(p.Argv, path.Join(r.Workspace, debugpyLauncher))
	}
	p.Argv = append(p.Argv, "--listen", "127.0.0.1:0")
	if r.Wait {
		p.Argv = append(p.Argv, "--wait-for-client")
	}
	p.Argv = append(p.Argv, r.Program...)
	return p, nil
}

//go:embed debugpy_bootstrap.py
var debugpyBootstrapSource string

// debugpyBootstrap is the bootstrap for one start: its lines carry the nonce, so that no line of the program is taken for one.
func debugpyBootstrap(nonce string) []byte {
	return []byte(strings.Replace(debugpyBootstrapSource, "@NONCE@", nonce, 1))
}

// knowsFrozenModules says whether this Python has -X frozen_modules (3.11 and later).
func knowsFrozenModules(version string) bool { return atLeast(version, 3, 11) }

// atLeast compares a version of Python's.
func atLeast(version string, wantMajor, wantMinor int) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > wantMajor || major == wantMajor && minor >= wantMinor
}

// debugpyFailures says what a start that failed has printed. The first is the bootstrap's: nothing of the program has run, start
// again without it.
func debugpyFailures(nonce string) []Failure {
	return []Failure{
		{Match: regexp.MustCompile(`(?m)^debugbroker ` + nonce + ` surprise (.*)$`), Code: Internal, Message: "the fast start does not know this debugpy: $1", Retry: true},
		{Match: regexp.MustCompile(`(?m)No module named '?debugpy'?`), Code: Missing, Message: "this python cannot import debugpy", Hint: debugpyInstall},
		{Match: regexp.MustCompile(`(?m)^\S*python[0-9.]*: ((?:Error while finding module specification for|No module named) .*)$`), Code: NotFound, Message: "$1",
			Hint: "the module must be found from the working directory: see --cwd, --interpreter and --env PYTHONPATH=…"},
		{Match: regexp.MustCompile(`(?m)RuntimeError: ((?:can't listen for|error spawning|timed out waiting for|error retrieving|error parsing) (?:debug )?adapter.*)$`),
			Code: Internal, Message: "debugpy: $1", Hint: "the host may be short of memory, processes or ports"},
		{Match: regexp.MustCompile(`(?m)^((?:ModuleNotFoundError|ImportError|SyntaxError|IndentationError): .*)$`), Code: Died, Message: "the program ended: $1",
			Hint: "its output is above; the interpreter is chosen with --interpreter"},
	}
}
