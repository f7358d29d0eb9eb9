package adapters

import (
	"net"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var pythonName = regexp.MustCompile(`^(?:python|pypy)\d*(?:\.\d+)*[a-z]?$`)

// Recognise takes python itself, and programs that hold it as a library (uwsgi), but for gdb, which has it for its own scripts.
func (debugpy) Recognise(r Running) (Found, bool) {
	if !isPython(r) && (!slices.Contains(r.Marks, "libpython") || path.Base(r.Exe) == "gdb") {
		return Found{}, false
	}
	script, args := pythonScript(r.Argv)
	dir, base := path.Split(strings.TrimSuffix(script, "/__main__.py"))
	switch {
	case script == "-m debugpy.adapter", base == "adapter" && path.Base(dir) == "debugpy":
		return Found{Server: true, Listening: adapterListening(r, args)}, true
	case base == debugpyAttachFile && strings.HasPrefix(path.Base(dir), "dbk-"):
		return Found{Server: true}, true
	case script == "-m debugpy" || base == "debugpy" || base == debugpyLauncher:
		f := Found{Listening: debugpyListening(args)}
		f.Server = slices.Contains(args, "--pid") // it only puts debugpy into another process
		return f, true
	}
	return Found{}, true
}

// isPython says whether the executable is python's, so that it can run a script of ours.
func isPython(r Running) bool {
	exe := r.Exe
	if exe == "" && len(r.Argv) > 0 { // another user's
		exe = r.Argv[0]
	}
	return pythonName.MatchString(path.Base(exe))
}

// pythonScript is what python runs, "-m module" or a file, and what stands behind it. Python's own options come before (python --help).
func pythonScript(argv []string) (script string, args []string) {
	for i := 1; i < len(argv); i++ {
		word := argv[i]
		switch {
		case word == "-m" && i+1 < len(argv):
			return "-m " + argv[i+1], argv[i+2:]
		case word == "-X", word == "-W", word == "--check-hash-based-pycs":
			i++
		case word == "-c", word == "-":
			return "", nil
		case !strings.HasPrefix(word, "-"):
			return word, argv[i+1:]
		}
	}
	return "", nil
}

// option is the value of --name VALUE or --name=VALUE.
func option(args []string, name string) string {
	for i, a := range args {
		if a == name && i+1 < len(args) {
			return args[i+1]
		}
		if v, ok := strings.CutPrefix(a, name+"="); ok {
			return v
		}
	}
	return ""
}

// adapterListening is where debugpy's adapter takes front ends: its --port, else its only socket. It may have another for the programs.
func adapterListening(r Running, args []string) string {
	host, port := option(args, "--host"), option(args, "--port")
	if port == "" {
		return "" // standard input and output
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if n, err := strconv.Atoi(port); err == nil && n > 0 && n <= 65535 {
		return net.JoinHostPort(host, port)
	}
	if len(r.Listening) == 1 {
		return r.Listening[0]
	}
	return ""
}

// debugpyListening is where `debugpy --listen [HOST:]PORT` takes front ends, "" where the port was left to chance.
func debugpyListening(args []string) string {
	at := option(args, "--listen")
	host, port := "127.0.0.1", at
	if i := strings.LastIndex(at, ":"); i >= 0 {
		host, port = strings.Trim(at[:i], "[]"), at[i+1:]
	}
	if n, err := strconv.Atoi(port); err != nil || n <= 0 || n > 65535 {
		return ""
	}
	return net.JoinHostPort(host, port)
}
