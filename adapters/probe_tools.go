package adapters

import (
	"fmt"
	"strings"
)

// findTool gives the script the PATH that the user's login shell has, and a function that says the first of its candidates that
// can be run. A candidate without a slash is looked up in PATH; relative findings are skipped, because what runs later stands elsewhere.
func findTool(req Request) string {
	path := ""
	if req.Host.Path != "" {
		path = "PATH=" + quote(req.Host.Path) + "; export PATH\n"
	}
	return path + `find_tool() {
	what=$1; shift
	for c in "$@"; do
		c=$(home_of "$c"); c=${c%.}
		case $c in */*) ;; *) c=$(command -v "$c" 2>/dev/null) || continue;; esac
		case $c in /*) if [ -f "$c" ] && [ -x "$c" ]; then fact "$what" "$c"; found=$c; return 0; fi;; esac
	done
	return 1
}
`
}

// toolCandidates puts what the configuration names before the places that are known. What the user named is the only one: then
// nothing else will do.
func toolCandidates(req Request, known ...string) string {
	if req.Interpreter != "" {
		return expandable(req.Interpreter)
	}
	return expandable(append(append([]string(nil), req.Interpreters...), known...)...)
}

// expandable quotes candidates and leaves a leading $VARIABLE to the shell; an unset one gives a path that is not there.
func expandable(candidates ...string) string {
	words := make([]string, len(candidates))
	for i, c := range candidates {
		words[i] = quote(c)
		if name, rest, ok := strings.Cut(c, "/"); ok && strings.HasPrefix(name, "$") {
			words[i] = fmt.Sprintf(`"${%s:-/nonexistent}"%s`, name[1:], quote("/"+rest))
		}
	}
	return strings.Join(words, " ")
}
