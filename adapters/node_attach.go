package adapters

import (
	_ "embed"
	"fmt"
	"net"
	"path"
	"regexp"
	"strconv"
	"time"
)

// nodeGuard is the program that stands for the debugged one. It is in node's own language because every host that has the one has the
// other, and a shell cannot speak to the inspector.
//
//go:embed node_guard.js
var nodeGuard []byte

const nodeGuardFile = "node_guard.js"

// nodeGuardReady is past the guard's own limit, 5 s for the inspector to open.
const nodeGuardReady = 20 * time.Second

// nodeAttachProbe looks for a node that can run the guard: the program's own, where it belongs to the user who will run it. What
// belongs to another is not run as root.
func nodeAttachProbe(req Request) string {
	script := factFunction + homeFunction + "home=" + quote(orRoot(req.Host.Home)) + "\n" + findTool(req) + "found=\n"
	if req.Interpreter == "" && isNode(req.Target) && path.IsAbs(req.Target.Exe) {
		script += "[ \"$(id -u)\" = " + strconv.Itoa(req.Target.UID) + " ] && find_tool node " + quote(req.Target.Exe) + " || "
	}
	return script + findNode(req) + nodeVersionScript
}

// attach plans the guard.
func (n node) attach(req Request, f facts) (Plan, error) {
	t := req.Target
	found, ok := n.Recognise(t)
	switch {
	case !ok || found.Server:
		return Plan{}, &Error{Foreign, fmt.Sprintf("process %d is no node program", t.PID), "brokerctl ps lists what can be debugged"}
	case req.Host.OS != "linux":
		return Plan{}, &Error{Foreign, "running node programs can be debugged on Linux only", "start it with --inspect, and take --port"}
	case found.Listening == "" && t.Caught != 0 && t.Caught&(1<<9) == 0:
		return Plan{}, &Error{Foreign, fmt.Sprintf("process %d does not take SIGUSR1, which opens node's inspector: the signal would end it", t.PID), nodeDeafHint}
	}
	file, version, err := nodeFound(req, f)
	if err != nil {
		return Plan{}, err
	}
	port := "0"
	if found.Listening != "" {
		_, port, _ = net.SplitHostPort(found.Listening)
	}
	nonce := req.nonce()
	p := Plan{
		Server: "node", Protocol: CDP, Network: "tcp", Exposed: req.Host.OtherUsers > 0, ServerLine: regexp.MustCompile(`^debugbroker ` + nonce + ` `),
		Argv:  []string{file, path.Join(req.Workspace, nodeGuardFile), strconv.Itoa(t.PID), t.Start, nonce, port},
		Files: []File{{Name: nodeGuardFile, Data: nodeGuard}},
		// NODE_OPTIONS of the login user is not meant for the guard.
		Env: []string{"NODE_OPTIONS="}, Cwd: t.Cwd, ServerCwd: "/", Program: t.Argv, Stands: true, Stays: found.Listening != "",
		Ready:    Ready{Line: regexp.MustCompile(`^debugbroker ` + nonce + ` ready (?P<addr>\S+:\d{1,5}) (?P<path>/\S+)$`), Timeout: nodeGuardReady},
		Failures: nodeGuardFailures(nonce, t.PID),
		Warnings: []string{"worker threads, and processes that the program starts, are not debugged along with it"},
	}
	if file == t.Exe && version != "" {
		p.Server = "node " + version
	}
	talk := &nodeTalk{}
	p.Announced = talk.announced
	if p.Stays { // it may have been started to wait for a front end
		p.AfterLast = talk.afterLast
	}
	return p, nil
}

const nodeDeafHint = "start it without --disable-sigusr1 and without a handler for SIGUSR1, or with --inspect=127.0.0.1:0"

// nodeGuardFailures are the guard's words for why not.
func nodeGuardFailures(nonce string, pid int) []Failure {
	fail := func(kind string, code Code, hint string) Failure {
		return Failure{
			Match: regexp.MustCompile(`(?m)^debugbroker ` + nonce + ` ` + kind + ` (.*)$`), Code: code, Message: fmt.Sprintf("process %d: $1", pid), Hint: hint,
		}
	}
	return []Failure{
		fail("gone", NotFound, "brokerctl ps lists what is there"),
		fail("denied", Denied, "--sudo works through sudo -n there, where you may use it"),
		fail("deaf", Foreign, nodeDeafHint),
		fail("exposed", Foreign, "start it without --inspect-port beyond loopback"),
		fail("hidden", Foreign, "start it without --inspect-publish-uid, or with stderr,http"),
		fail("taken", Foreign, "start it with --inspect-port=0, which takes a free port, or end what is debugged there"),
		fail("silent", Foreign, "its main thread may be busy outside of JavaScript, or handle SIGUSR1 itself; if its inspector listens already on a port of its own, name it with --port"),
		fail("broken", Internal, "`brokerctl logs` has the rest"),
	}
}
