package adapters

import (
	"errors"
	"strings"
)

// Examine asks as for a running program, about none: which python has debugpy, and whether its way into running programs works.
func (debugpy) Examine(req Request) []Command {
	req.Mode, req.Target = Attach, Running{}
	return []Command{{Key: debugpyKey, Script: debugpyAttachProbe(req) + "\n"}}
}

// Findings judges the first python that has debugpy: it is the one that open takes where no other is named.
func (debugpy) Findings(req Request) []Finding {
	f := parseFacts(req.Facts[debugpyKey])
	interpreter, version := f.first("interpreter"), f.first("version")
	if interpreter == "" {
		finding := failing("python", debugpyInstall, "no python that can import debugpy")
		var refused *Error
		if errors.As(interpreterRefusal("", f["tried"]), &refused) {
			finding.Detail, finding.Hint = refused.Message, refused.Hint
		}
		return []Finding{finding}
	}
	has, _, _ := strings.Cut(f.first("debugpy"), "+")
	list := []Finding{holds("python", "%s, %s", interpreter, version), debugpyFits(has, version)}
	return append(list, debugpyWayIn(f, version))
}

// debugpyNeeded is the oldest debugpy that works with a Python: the releases' notes, and debugpy #1689 for 3.13.
var debugpyNeeded = []struct{ python, debugpy string }{{"3.13", "1.8.7"}, {"3.12", "1.8.0"}, {"3.11", "1.6.0"}}

// debugpyFits holds debugpy's version against Python's.
func debugpyFits(has, python string) Finding {
	for _, need := range debugpyNeeded {
		if !older(python, need.python) && older(has, need.debugpy) {
			return failing("debugpy", "a newer one: PYTHON -m pip install --upgrade debugpy", "%s, and Python %s needs %s or later", has, python, need.debugpy)
		}
	}
	return holds("debugpy", "%s fits Python %s", has, python)
}

// debugpyWayIn tells whether debugpy gets into running programs: by itself since Python 3.14 (sys.remote_exec), else with gdb.
func debugpyWayIn(f facts, version string) Finding {
	const check = "attach"
	var refused *Error
	switch {
	case atLeast(version, 3, 14):
		return holds(check, "Python %s lets debugpy into running programs", version)
	case f.first("gdb") == "":
		return failing(check, "install gdb there (apt install gdb, dnf install gdb, apk add gdb); programs that open starts do without", "no gdb, with which debugpy gets into running programs")
	case f.first("gdb_works") != "":
		return holds(check, "%s gets debugpy into running programs", f.first("gdb"))
	case errors.As(gdbRefusal(f.first("gdb_says"), f.first("ptrace_scope")), &refused):
		return failing(check, refused.Hint+"; programs that open starts do without", "%s", refused.Message)
	}
	return failing(check, "programs that open starts do without", "%s does not work", f.first("gdb"))
}
