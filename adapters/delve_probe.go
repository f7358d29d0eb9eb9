package adapters

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// delveProbe is the key of Delve's probe.
const delveProbe = "delve"

// Probe asks for dlv, for go where it would build, and for what the program is. It runs neither: dlv makes its configuration
// directory whenever it starts, and go may fetch a whole toolchain to tell its version.
func (delve) Probe(req Request) []Command {
	if req.Mode == Port {
		return []Command{{Key: delveProbe, Script: delvePortScript(req.Port)}}
	}
	if req.Mode == Attach {
		return []Command{{Key: delveProbe, Script: delveAttachProbe(req)}}
	}
	script := beginProbe(req, "") + findTool(req) +
		"find_tool dlv " + toolCandidates(req, "dlv", "$GOBIN/dlv", "~/go/bin/dlv", "$GOPATH/bin/dlv") + "\n" +
		findGo +
		"p=" + quote(req.Program[0]) + "\n" + delveKinds
	return []Command{{Key: delveProbe, Script: script}}
}

// findGo finds the go command. Delve runs it by name, so it matters whether PATH has it.
const findGo = "find_tool go go && fact go_on_path 1 ||" +
	" find_tool go /usr/local/go/bin/go '~/go/bin/go' '~/sdk/go/bin/go' /usr/lib/go/bin/go /opt/go/bin/go /snap/bin/go\n"

// delveKinds says what the program is, with its directory and name.
const delveKinds = `case $p in
	*/*) dir=${p%/*}; name=${p##*/}; [ -n "$dir" ] || dir=/;;
	*) dir=.; name=$p;;
esac
if [ -d "$p" ]; then
	cd -- "$p" 2>/dev/null && { fact kind dir; fact dir "$(pwd)"; } || fact kind unreadable
elif [ -f "$p" ]; then
	cd -- "$dir" 2>/dev/null && fact dir "$(pwd)"
	fact name "$name"
	case $name in
		*.go) fact kind gofile;;
		*) if [ -x "$name" ]; then fact kind exe; else fact kind noexec; fi;;
	esac
else
	fact kind none
fi
`

// target is what is to be debugged, as dlv is told it.
type target struct {
	arg      string // file, package directory or import path
	name     string // for the binary
	build    bool
	buildDir string // where dlv stands while it builds; "" is the debuggee's working directory
}

// importPath accepts what may be the import path of a main package. Whether it is one is for the go command to say.
var importPath = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._~+-]*(?:/[A-Za-z0-9_.~+-]+)*(?:@[A-Za-z0-9.+-]+)?$`)

// delveTarget reads what the probe said of the program.
func delveTarget(req Request, f facts) (target, error) {
	if err := cwdMissing(f); err != nil {
		return target{}, err
	}
	program := req.Program[0]
	notFound := &Error{
		Code: NotFound, Message: fmt.Sprintf("no such program: %s", program),
		Hint: "give a main package's directory, a .go file, an import path or an executable file; relative ones are looked up in " + f.first("cwd"),
	}
	var t target
	switch f.first("kind") {
	case "exe":
		return target{arg: path.Join(f.first("dir"), f.first("name"))}, nil
	case "noexec":
		return t, &Error{Code: NotFound, Message: fmt.Sprintf("%s is not executable", program), Hint: "chmod +x it on the host"}
	case "unreadable":
		return t, &Error{Code: NotFound, Message: fmt.Sprintf("%s cannot be entered", program), Hint: "the directory's permissions on the host"}
	case "dir":
		t = target{arg: f.first("dir"), name: path.Base(f.first("dir")), build: true, buildDir: f.first("dir")}
	case "gofile":
		t = target{arg: path.Join(f.first("dir"), f.first("name")), name: strings.TrimSuffix(f.first("name"), ".go"), build: true, buildDir: f.first("dir")}
	default:
		if !importPath.MatchString(program) || strings.HasSuffix(program, ".go") || f.first("go") == "" {
			return t, notFound
		}
		t = target{arg: program, name: path.Base(program), build: true}
	}
	if f.first("go") == "" {
		return t, &Error{Code: Missing, Message: "go is not installed on the host", Hint: "install Go there, or give an executable file that was built elsewhere"}
	}
	return t, nil
}

// delvePortScript says whether something listens on the port, and which manner of Delve it is: by its command line, because a
// connection would be the only one that a single-client server takes.
func delvePortScript(port int) string {
	return listenerScript(port) + `
if [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ]; then
	cmd=$(tr '\000' '\n' <"/proc/$pid/cmdline")
	case "
$cmd
" in
		*"
dap
"*) fact manner dap;;
		*"
--accept-multiclient
"*|*"
--accept-multiclient=true
"*) fact manner multi;;
		*) fact manner single;;
	esac
fi
`
}
