package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"

	"github.com/debugbroker/debugbroker/adapters/dap"
)

// maxReverse bounds what a server asks of a front end, in bytes: debugpy echoes the arguments of attach, a few KiB.
const maxReverse = 1 << 20

// A debug server may ask its front end for things (the specification's reverse requests), and front ends do as they are asked: VS Code
// and nvim-dap run the command line of runInTerminal on the user's own machine, and startDebugging, or the event debugpyAttach, starts
// whatever a launch configuration can start, tasks and ${command:…} included. A server on a host that is not trusted as much as this
// machine must not have that. What remains is what debugpy needs: to say that a subprocess waits on the port that is there already.
var (
	errTerminal = errors.New("the debug server asked the front end to run a program on this machine (runInTerminal)")
	errStart    = errors.New("the debug server asked the front end to start something other than a debug session for a subprocess")
	errBroken   = errors.New("the debug server sent an object that is no JSON")
)

// forbidden tells why a message of the server must not reach the front end; nil where it may.
func forbidden(m dap.Message, env dap.Envelope) error {
	switch {
	case env.Type == "request" && env.Command == "runInTerminal":
		return errTerminal
	case env.Type == "request" && env.Command == "startDebugging":
		var msg struct {
			Arguments map[string]json.RawMessage `json:"arguments"`
		}
		var request string
		var config map[string]any
		if len(m.Body()) > maxReverse || json.Unmarshal(m.Body(), &msg) != nil ||
			json.Unmarshal(msg.Arguments["request"], &request) != nil || request != "attach" ||
			json.Unmarshal(msg.Arguments["configuration"], &config) != nil {
			return errStart
		}
		if r, ok := config["request"]; ok && r != "attach" {
			return errStart
		}
		return subprocess(config)
	case env.Type == "event" && env.Event == "debugpyAttach":
		var msg map[string]json.RawMessage
		var config map[string]any
		if len(m.Body()) > maxReverse || json.Unmarshal(m.Body(), &msg) != nil || json.Unmarshal(msg["body"], &config) != nil || config["request"] != "attach" {
			return errStart
		}
		return subprocess(config)
	}
	return nil
}

// subprocess tells whether a configuration is one that debugpy makes for a subprocess: to attach, by a port (which redirect makes
// ours), and without what would be done on this machine. debugpy itself leaves those members out (adapter/clients.py,
// notify_of_subprocess, in 1.6.3 and later).
func subprocess(config map[string]any) error {
	for _, name := range []string{"processId", "listen", "preLaunchTask", "postDebugTask", "debugServer"} {
		if _, ok := config[name]; ok {
			return errStart
		}
	}
	at := config
	if connect, ok := config["connect"]; ok {
		if at, ok = connect.(map[string]any); !ok {
			return errStart
		}
	}
	pid, isNumber := config["subProcessId"].(float64)
	if _, ok := at["port"]; !ok || !isNumber || pid < 1 || pid != math.Trunc(pid) || variable(config) {
		return errStart
	}
	return nil
}

// variable tells whether a front end would fill something in: ${command:…} runs a command, ${env:…} tells what is nobody's business.
func variable(value any) bool {
	switch v := value.(type) {
	case string:
		return strings.Contains(v, "${")
	case []any:
		for _, item := range v {
			if variable(item) {
				return true
			}
		}
	case map[string]any:
		for name, item := range v {
			if variable(name) || variable(item) {
				return true
			}
		}
	}
	return false
}

// looksObject tells whether a lenient parser would find an object in a body that ours does not take for one.
func looksObject(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n\uFEFF"), []byte("{"))
}

// deny keeps a message of the server from the front end, and tells the server where it waits for an answer.
func (d *dapRelay) deny(env dap.Envelope, reason error) {
	d.c.p.events.refused(reason.Error())
	if env.Type == "request" {
		_, _ = d.far.Write(dap.ErrorResponse(env.Seq, env.Command, "debugbroker does not pass this on").Raw) // the next read tells
	}
}
