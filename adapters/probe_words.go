package adapters

import (
	"fmt"
	"strings"
)

// A probe prints records, key NUL value NUL, because a value may be a path with a newline in it.

// probeHead begins every probe script: the PATH that the user's login shell has, a working directory, and the way to answer.
//
// It leaves $start, the directory that relative paths of the request are resolved against (also the shell's own), and says
// "cwd-missing" where --cwd is not there, or "cwd-local" where the directory in which the user stands exists on the host too.
func probeHead(req Request) string {
	var b strings.Builder
	if req.Host.Path != "" {
		fmt.Fprintf(&b, "PATH=%s; export PATH\n", quoteWord(req.Host.Path))
	}
	b.WriteString(`unset CDPATH
say() { printf '%s\000%s\000' "$1" "$2"; }
start=
`)
	if req.Cwd != "" {
		fmt.Fprintf(&b, "cd -- %s 2>/dev/null && start=$(pwd) || { say cwd-missing 1; exit 0; }\n", quoteWord(req.Cwd))
	} else if strings.HasPrefix(req.LocalCwd, "/") {
		fmt.Fprintf(&b, "cd -- %s 2>/dev/null && start=$(pwd) && say cwd-local 1\n", quoteWord(req.LocalCwd))
	}
	fmt.Fprintf(&b, `[ -n "$start" ] || { cd -- %s 2>/dev/null || cd /; start=$(pwd); }
say start "$start"
`, quoteWord(orRoot(req.Host.Home)))
	return b.String()
}

func orRoot(dir string) string {
	if dir == "" {
		return "/"
	}
	return dir
}

// findTool is a shell function that says the first of its candidates that can be run. A candidate without a slash is looked up in
// PATH; relative findings are skipped, because what runs later stands elsewhere.
const findTool = `find_tool() {
	what=$1; shift
	for c in "$@"; do
		case $c in */*) ;; *) c=$(command -v "$c" 2>/dev/null) || continue;; esac
		case $c in /*) if [ -f "$c" ] && [ -x "$c" ]; then say "$what" "$c"; found=$c; return 0; fi;; esac
	done
	return 1
}
`

// answers reads the records that a probe printed. What does not parse is left out: a host may print what it likes.
func answers(printed string) map[string]string {
	out := map[string]string{}
	for {
		key, rest, ok := strings.Cut(printed, "\x00")
		if !ok {
			return out
		}
		value, rest, ok := strings.Cut(rest, "\x00")
		if !ok {
			return out
		}
		out[key] = value
		printed = rest
	}
}

// quoteWord makes s one word of a POSIX shell script, whatever is in it. NUL cannot be in an argument at all; Check refuses it.
func quoteWord(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// quoteWords quotes each of words.
func quoteWords(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quoteWord(w)
	}
	return strings.Join(quoted, " ")
}

// toolCandidates puts what the user named before all else; named so, nothing else will do.
func toolCandidates(interpreter string, defaults ...string) []string {
	if interpreter != "" {
		return []string{interpreter}
	}
	return defaults
}

// checkLaunchOrPort refuses what no adapter can do: nothing to debug, two ways to, a port that is none, a NUL in an argument.
func checkLaunchOrPort(req Request, lang, example string) error {
	hint := fmt.Sprintf("brokerctl open HOST:%s -- %s", lang, example)
	switch {
	case req.Mode == Port && len(req.Program) > 0:
		return &Error{Code: Usage, Message: "both a program and --port are given", Hint: "leave one of them out"}
	case req.Mode == Port && (req.Port < 1 || req.Port > 65535):
		return &Error{Code: Usage, Message: fmt.Sprintf("port %d is out of range", req.Port), Hint: "a port is a number from 1 to 65535"}
	case req.Mode == Launch && (len(req.Program) == 0 || req.Program[0] == ""):
		return &Error{Code: Usage, Message: "nothing to debug", Hint: hint}
	case req.Mode == Launch && req.Port != 0:
		return &Error{Code: Usage, Message: "both a program and --port are given", Hint: "leave one of them out"}
	case req.Mode != Port && req.Mode != Launch:
		return &Error{Code: Usage, Message: fmt.Sprintf("unknown mode %q", req.Mode), Hint: hint}
	}
	for _, s := range append(append([]string{req.Cwd, req.Interpreter}, req.Program...), req.Env...) {
		if strings.ContainsRune(s, 0) {
			return &Error{Code: Usage, Message: "an argument holds a NUL byte", Hint: "no program can be given one"}
		}
	}
	return nil
}

// cwdMissing is the refusal of a --cwd that the host does not have.
func cwdMissing(req Request) error {
	return &Error{Code: NotFound, Message: fmt.Sprintf("no such directory: %s", req.Cwd), Hint: "--cwd names a directory on the host"}
}

// effectiveCwd is where the debuggee starts: --cwd, else where the user stands if that exists there too, else the program's
// directory, else home.
func effectiveCwd(req Request, facts map[string]string, programDir string) string {
	if req.Cwd != "" || facts["cwd-local"] != "" || programDir == "" {
		return facts["start"]
	}
	return programDir
}
