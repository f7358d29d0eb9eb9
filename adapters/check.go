package adapters

import (
	"fmt"
	"strings"
)

// checkRequest refuses what no adapter can do: nothing to debug, two ways to, a port that is none, a NUL in an argument.
func checkRequest(req Request, lang, example string) error {
	hint := fmt.Sprintf("say what to run: brokerctl open HOST:%s -- %s; or which process: --pid N; or which port: --port N", lang, example)
	switch {
	case req.Mode == Port && len(req.Program) > 0, req.Mode == Launch && req.Port != 0:
		return &Error{Usage, "both a program and --port are given", "leave one of them out"}
	case req.Mode == Attach && (len(req.Program) > 0 || req.Port != 0):
		return &Error{Usage, "both a running process and a program or --port are given", "leave one of them out"}
	case req.Mode == Attach && len(req.Env) > 0:
		return &Error{Usage, "a process that runs already has its environment", "leave --env out"}
	case req.Mode == Port && (req.Port < 1 || req.Port > 65535):
		return &Error{Usage, fmt.Sprintf("port %d is out of range", req.Port), "a port is a number from 1 to 65535"}
	case req.Mode == Launch && (len(req.Program) == 0 || req.Program[0] == ""):
		return &Error{Usage, "nothing to debug", hint}
	case req.Mode != Port && req.Mode != Launch && req.Mode != Attach:
		return &Error{Usage, fmt.Sprintf("unknown mode %q", req.Mode), hint}
	}
	for _, s := range append(append([]string{req.Cwd, req.Interpreter}, req.Program...), req.Env...) {
		if strings.ContainsRune(s, 0) {
			return &Error{Usage, "an argument holds a NUL byte", "no program can be given one"}
		}
	}
	return nil
}
