package adapters

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"strconv"
	"strings"
)

// debugpyKey is the one probe's key.
const debugpyKey = "debugpy"

const debugpyInstall = "install it there: apt install python3-debugpy, or PYTHON -m pip install debugpy; another python is named with --interpreter"

//go:embed debugpy_probe.sh
var debugpyProbe string

// Probe asks once for the working directory, the program and the interpreter. It asks nothing for a port.
func (debugpy) Probe(r Request) []Command {
	if r.Mode == Port {
		return nil
	}
	if r.Mode == Attach {
		return []Command{{Key: debugpyKey, Script: debugpyAttachProbe(r)}}
	}
	program, module := "", ""
	if len(r.Program) > 1 && r.Program[0] == "-m" {
		module, _, _ = strings.Cut(r.Program[1], ".")
	} else if len(r.Program) > 0 {
		program = r.Program[0]
	}
	var s strings.Builder
	s.WriteString(beginProbe(r, program))
	set := func(name, value string) { s.WriteString(name + "=" + quote(value) + "\n") }
	set("pid", "")
	set("interpreter", r.Interpreter)
	set("configured", quoteAll(r.Interpreters...))
	set("path", r.Host.Path)
	set("module", module)
	// Where debugpy is found can hang on these (PYTHONPATH, PYTHONHOME), so the question is asked as the program will be run.
	for _, kv := range r.Env {
		name, value, _ := strings.Cut(kv, "=")
		switch {
		case name == "PATH":
			set("path", value)
		case strings.HasPrefix(name, "PYTHON") && envName.MatchString(name):
			s.WriteString("export " + name + "=" + quote(value) + "\n")
		}
	}
	s.WriteString(debugpyProbe)
	return []Command{{Key: debugpyKey, Script: s.String()}}
}

// debugpyRefusal says why a program cannot be started, or nil.
func debugpyRefusal(r Request, f facts) error {
	if err := cwdMissing(f); err != nil {
		return err
	}
	cwd := f.first("cwd")
	if cwd == "" {
		return &Error{Internal, "the host did not answer what it was asked about python", "its login shell may be broken; try: ssh HOST true"}
	}
	if err := programRefusal(r.Program[0], f); err != nil {
		return err
	}
	if f.first("interpreter") == "" {
		return interpreterRefusal(r.Interpreter, f["tried"])
	}
	if f.first("module") == "missing" {
		return &Error{NotFound, "no module " + strconv.Quote(r.Program[1]) + " for " + f.first("interpreter") + " in " + strconv.Quote(cwd),
			"the module must be found from the working directory: see --cwd, --interpreter and --env PYTHONPATH=…"}
	}
	return nil
}

// programRefusal translates the probe's word on the script.
func programRefusal(program string, f facts) error {
	switch f.first("program") {
	case "missing":
		return programMissing(program, f)
	case "unreadable":
		return &Error{NotFound, "program " + strconv.Quote(program) + " cannot be read", "its permissions on the host"}
	case "no_main":
		return &Error{NotFound, "directory " + strconv.Quote(program) + " has no __main__.py", "name a script, or -m module"}
	}
	return nil
}

// interpreterRefusal tells every interpreter that was tried, and why it is not the one.
func interpreterRefusal(asked string, tried []string) error {
	words := map[string]string{
		"absent": "is not there", "no_debugpy": "has no debugpy", "broken": "does not work", "slow": "did not answer in time", "skipped": "was not tried, time was up",
		"other_version": "is of another version", "foreign": "was not run, since another user has put it there",
	}
	var said []string
	for _, t := range tried {
		status, file, _ := strings.Cut(t, " ")
		word, known := words[status]
		if !known {
			continue
		}
		file, reason, _ := strings.Cut(file, ": ")
		if reason != "" {
			word += " (" + reason + ")"
		}
		said = append(said, file+" "+word)
	}
	message := "no python that can import debugpy"
	if asked != "" {
		message = "interpreter " + asked + " cannot be used"
	}
	if len(said) > 0 {
		message += ": " + strings.Join(said, "; ")
	}
	return &Error{Missing, message, debugpyInstall}
}

// nonce marks the lines of one start. It is no secret, only unlike anything that a program prints by chance or from an earlier start.
func (r Request) nonce() string {
	sum := sha256.Sum256([]byte(r.Workspace + "\x00" + strconv.FormatUint(uint64(r.Random), 16) + "\x00" + strconv.Itoa(r.Attempt)))
	return hex.EncodeToString(sum[:8])
}
