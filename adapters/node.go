package adapters

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// NewNode returns the adapter for node's inspector. Command line and output: node 12 to 20, src/inspector_agent.cc and
// src/inspector_socket_server.cc.
func NewNode() Adapter { return node{} }

type node struct{}

func (node) Name() string       { return "node" }
func (node) Aliases() []string  { return []string{"js"} }
func (node) Protocol() Protocol { return CDP }

func (node) Check(req Request) error { return checkRequest(req, "node", "app.js") }

// nodeProbe is the key of node's probe.
const nodeProbe = "node"

func (node) Probe(req Request) []Command {
	if req.Mode == Port {
		return []Command{{Key: nodeProbe, Script: listenerScript(req.Port)}}
	}
	if req.Mode == Attach {
		return []Command{{Key: nodeProbe, Script: nodeAttachProbe(req)}}
	}
	script := beginProbe(req, nodeScript(req.Program)) + findTool(req) + "found=\n" + findNode(req) + nodeVersionScript +
		programScript(nodeScript(req.Program), ".js", ".mjs", ".cjs", ".json", ".node", ".ts")
	return []Command{{Key: nodeProbe, Script: script}}
}

// findNode finds the node command.
func findNode(req Request) string {
	script := "find_tool node " + toolCandidates(req, "node", "nodejs")
	if req.Interpreter == "" {
		// nvm keeps a directory a version; the newest is taken, in the order of numbers and not of letters.
		script += ` || {
	newest=$(for n in "$home"/.nvm/versions/node/v*/bin/node; do
		[ -x "$n" ] && { v=${n%/bin/node}; printf '%s\n' "${v##*/v}"; }
	done | sort -t. -k1,1n -k2,2n -k3,3n | tail -n 1)
	find_tool node "$home/.nvm/versions/node/v$newest/bin/node" "$home/.volta/bin/node" /usr/local/bin/node
}`
	}
	return script
}

const nodeVersionScript = `
[ -z "$found" ] || fact version "$("$found" --version 2>/dev/null </dev/null)"
`

// nodeFound is the node command that the probe has found, and its version, "" if it does not say.
func nodeFound(req Request, f facts) (file, version string, err error) {
	file = f.first("node")
	switch {
	case file == "" && req.Interpreter != "":
		return "", "", &Error{Code: Missing, Message: fmt.Sprintf("no node at %s", req.Interpreter), Hint: "--interpreter names the node command on the host"}
	case file == "":
		return "", "", &Error{Code: Missing, Message: "node is not installed on the host", Hint: "install it there, or name it with --interpreter"}
	}
	version, ok := nodeVersion(f.first("version"))
	if !ok {
		return "", "", &Error{Code: Missing, Message: fmt.Sprintf("%s is no node: --version prints no node's version", file), Hint: "--interpreter names the node command on the host"}
	}
	return file, version, nil
}

// nodeScript is the script's file where that is sure: behind node's own flags, a word may be a flag's value.
func nodeScript(program []string) string {
	if strings.HasPrefix(program[0], "-") {
		return ""
	}
	return program[0]
}

func (n node) Plan(req Request) (Plan, error) {
	f := parseFacts(req.Facts[nodeProbe])
	plan := Plan{Server: "node", Protocol: CDP, Network: "tcp", Exposed: req.Host.OtherUsers > 0, ServerLine: nodeServerLine, Ending: nodeEnding}
	if req.Mode == Port {
		if f.first("listening") == "no" {
			return Plan{}, nothingListens(req.Port, "node --inspect=127.0.0.1:"+strconv.Itoa(req.Port)+" app.js")
		}
		talk := &nodeTalk{}
		plan.Address, plan.Started, plan.AfterLast = loopback(req.Port), talk.findPath, talk.afterLast
		return plan, nil
	}

	if req.Mode == Attach {
		return n.attach(req, f)
	}
	if err := cwdMissing(f); err != nil {
		return Plan{}, err
	}
	if f.first("no_program") != "" {
		return Plan{}, programMissing(req.Program[0], f)
	}
	file, version, err := nodeFound(req, f)
	if err != nil {
		return Plan{}, err
	}
	flag := "--inspect"
	if req.Wait {
		flag = "--inspect-brk"
	}
	plan.Argv = []string{file, flag + "=127.0.0.1:0"}
	if nodeHidesUID(version) {
		// Only the broker is to know the websocket's path: whoever knows it may run code in the program.
		plan.Argv = append(plan.Argv, "--inspect-publish-uid=stderr")
		plan.SecretPath = !slices.ContainsFunc(req.Program, func(arg string) bool { return strings.HasPrefix(arg, "--inspect") })
	}
	plan.Argv = append(plan.Argv, req.Program...)
	if version != "" {
		plan.Server = "node " + version
	}
	talk := &nodeTalk{}
	plan.Env, plan.Cwd, plan.Program = req.Env, f.first("cwd"), append([]string{file}, req.Program...)
	plan.Ready = Ready{Line: nodeReady, Timeout: 30 * time.Second}
	plan.Announced = talk.announced
	plan.Failures = nodeFailures
	if req.Wait {
		plan.AfterLast = talk.afterLast
	} else {
		plan.Ready.Settle = settle
	}
	return plan, nil
}

// nodeVersion reads what `node --version` prints: "v20.20.2", or "v21.0.0-nightly2023…". What prints nothing may be a wrapper script;
// anything else comes from another program.
func nodeVersion(printed string) (version string, ok bool) {
	printed = strings.TrimSpace(printed)
	if printed == "" {
		return "", true
	}
	return strings.TrimPrefix(printed, "v"), nodeVersionLine.MatchString(printed)
}

// settle is how long a program that does not wait is watched for an early end.
const settle = 300 * time.Millisecond

// nodeHidesUID tells whether a version knows --inspect-publish-uid: 12.8 and 10.17 (node's changelogs). An unknown one does.
func nodeHidesUID(version string) bool {
	majorText, rest, _ := strings.Cut(version, ".")
	minorText, _, _ := strings.Cut(rest, ".")
	major, err := strconv.Atoi(majorText)
	if err != nil {
		return true
	}
	minor, err := strconv.Atoi(minorText)
	return err != nil || major > 12 || major == 12 && minor >= 8 || major == 10 && minor >= 17
}

var (
	nodeVersionLine = regexp.MustCompile(`^v\d+\.\d+\.[\w.+-]+$`)

	nodeReady      = regexp.MustCompile(`^Debugger listening on ws://(?P<addr>[^/\s]+)(?P<path>/\S+)`)
	nodeEnding     = regexp.MustCompile(`^Waiting for the debugger to disconnect\.\.\.$`)
	nodeServerLine = regexp.MustCompile(`^(?:Debugger listening on ws://|For help, see: https://nodejs\.org/|Debugger attached\.$|Debugger ending on ws://|Waiting for the debugger to disconnect\.\.\.$)`)
	nodeFailures   = []Failure{
		{Match: regexp.MustCompile(`(?m)^Starting inspector on (.*)$`), Code: Internal, Message: "node's inspector on $1", Retry: true},
		{Match: regexp.MustCompile(`(?m)^\S+: (bad option: .*|.* requires an argument)$`), Code: Usage, Message: "node: $1", Hint: "node's flags come before the script, the script's own after it"},
		{Match: regexp.MustCompile(`(?m)^Error: (Cannot find module .*)$`), Code: NotFound, Message: "$1"},
		{Match: regexp.MustCompile(`(?m)^((?:\w*Error)(?: \[\w+\])?: .*)$`), Code: Died, Message: "$1", Hint: "`brokerctl logs` has the rest"},
	}
)
