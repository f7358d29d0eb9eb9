package adapters

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"time"
)

// NewDelve returns the adapter for Go programs under Delve 1.22.1 or later (older ones are reached over TCP). Commands, output and
// manners of the server: Delve 1.27, cmd/dlv/cmds/commands.go and service/.
func NewDelve() Adapter { return delve{} }

type delve struct{}

func (delve) Name() string       { return "go" }
func (delve) Aliases() []string  { return []string{"golang", "dlv"} }
func (delve) Protocol() Protocol { return DAP }

func (delve) Check(req Request) error { return checkRequest(req, "go", "./cmd/app") }

// delveTools is where a missing Delve comes from.
const delveTools = "go install github.com/go-delve/delve/cmd/dlv@latest"

// maxSocketPath is what fits into sun_path on every system, its NUL left out (104 bytes on darwin, 108 on Linux).
const maxSocketPath = 103

func (d delve) Plan(req Request) (Plan, error) {
	switch req.Mode {
	case Port:
		return d.planPort(req)
	case Attach:
		return d.planAttach(req)
	}
	return d.planLaunch(req)
}

func (delve) planLaunch(req Request) (Plan, error) {
	f := parseFacts(req.Facts[delveProbe])
	target, err := delveTarget(req, f)
	if err != nil {
		return Plan{}, err
	}
	dlv := f.first("dlv")
	if dlv == "" {
		return Plan{}, delveMissing(req)
	}

	network, address, listen := "tcp", "", "127.0.0.1:0"
	// A Delve that cannot listen on a unix socket says so and ends; the next attempt is over TCP.
	if sock := path.Join(req.Workspace, "dlv.sock"); req.Host.StreamLocal && req.Attempt == 0 && len(sock) <= maxSocketPath {
		network, address, listen = "unix", sock, "unix:"+sock
	}

	cwd := f.first("cwd")
	if f.first("cwd_default") != "" && f.first("dir") != "" {
		cwd = f.first("dir") // where the program is, or the package itself
	}
	argv := []string{dlv, "exec"}
	timeout := 30 * time.Second
	env := append([]string(nil), req.Env...)
	if target.build {
		// The binary goes into the workspace: nothing is left beside the source, and it ends with the session.
		argv = []string{dlv, "debug", "--output=" + path.Join(req.Workspace, "bin-"+plainName(target.name))}
		timeout = 10 * time.Minute // a cold build cache and modules to fetch
		if f.first("go_on_path") == "" {
			// Delve runs "go" by name.
			env = append(env, "PATH="+req.Host.Path+":"+path.Dir(f.first("go")))
		}
	}
	argv = append(argv, "--headless", "--accept-multiclient", "--api-version=2", "--listen="+listen, "--wd="+cwd, target.arg)
	if len(req.Program) > 1 {
		argv = append(append(argv, "--"), req.Program[1:]...)
	}

	talk := newDelveTalk(false)
	talk.wait = req.Wait
	var watched time.Duration
	if !req.Wait {
		watched = settle // Delve outlives its program: Watch tells
	}
	plan := Plan{
		Server: "Delve", Argv: argv, Env: env, Cwd: cwd, ServerCwd: target.buildDir, Spare: true,
		Program: req.Program,
		Ready:   Ready{Line: delveReady, Timeout: timeout, Settle: watched},
		Network: network, Address: address,
		Protocol: DAP, RPC: true, OneClient: true,
		Started: talk.started, BeforeFirst: talk.beforeFirst, AfterLast: talk.afterLast, Watch: talk.watch, Stop: talk.stop,
		ServerLine: delveServerLine,
		Failures:   delveFailures(network, target.build),
		// Elsewhere than on Linux Delve's --only-same-user lets everybody in on TCP.
		Exposed: network == "tcp" && req.Host.OS != "linux" && req.Host.OtherUsers > 0,
	}
	return plan, nil
}

func (delve) planPort(req Request) (Plan, error) {
	f := parseFacts(req.Facts[delveProbe])
	if f.first("listening") == "no" {
		return Plan{}, nothingListens(req.Port, "dlv debug --headless --accept-multiclient --listen=127.0.0.1:"+strconv.Itoa(req.Port))
	}
	plan := Plan{
		Server: "Delve", Network: "tcp", Address: loopback(req.Port), Protocol: DAP, RPC: true, OneClient: true,
		Exposed: req.Host.OS != "linux" && req.Host.OtherUsers > 0,
	}
	switch f.first("manner") {
	case "multi":
		talk := newDelveTalk(true)
		plan.Started, plan.BeforeFirst, plan.AfterLast, plan.Watch = talk.started, talk.beforeFirst, talk.afterLast, talk.watch
	case "dap":
		plan.RPC = false
		plan.Warnings = []string{"the server is `dlv dap`: it ends with its first client"}
	default:
		// A connection of ours would be the only one that the server ever takes.
		plan.Warnings = []string{"the server takes one client: it ends with it, and a program that it started too; dlv --accept-multiclient keeps both"}
	}
	return plan, nil
}

func loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

func nothingListens(port int, example string) error {
	return &Error{Code: NotFound, Message: fmt.Sprintf("nothing listens on 127.0.0.1:%d", port), Hint: "start the debug server there, for instance: " + example}
}

func delveMissing(req Request) error {
	if req.Interpreter != "" {
		return &Error{Code: Missing, Message: fmt.Sprintf("no Delve at %s", req.Interpreter), Hint: "--interpreter names the dlv command on the host"}
	}
	return &Error{Code: Missing, Message: "dlv is not installed on the host", Hint: delveTools}
}

var unplain = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// plainName makes a file name that is seen in process tables out of any base name.
func plainName(base string) string {
	name := unplain.ReplaceAllString(base, "_")
	if len(name) > 40 {
		name = name[:40]
	}
	return name
}
