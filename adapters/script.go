package adapters

import (
	"regexp"
	"strings"
)

// maxFacts bounds what is read of a probe's answer, in bytes: the host is not trusted.
const maxFacts = 256 << 10

// quote returns s as one word of POSIX sh, whatever it holds but NUL, which no argument can hold.
func quote(s string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, "\x00", ""), "'", `'\''`) + "'"
}

// quoteAll returns words for a for loop, a set or a command's arguments.
func quoteAll(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

// envName is a name that a shell can export.
var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// factFunction defines `fact KEY VALUE`, which prints a record for parseFacts: NUL KEY=VALUE NUL. A value may be a path, and a path
// may hold anything but NUL.
const factFunction = `fact() { printf '\000%s=%s\000' "$1" "$2"; }
`

// facts is a probe's answer: the values of each key, in the order in which they were printed.
type facts map[string][]string

// first returns a key's first value, or "".
func (f facts) first(key string) string {
	if len(f[key]) == 0 {
		return ""
	}
	return f[key][0]
}

// parseFacts reads the records that `fact` prints. What stands between them is noise and skipped.
func parseFacts(answer string) facts {
	if len(answer) > maxFacts {
		answer = answer[:maxFacts]
	}
	f := facts{}
	for record := range strings.SplitSeq(answer, "\x00") {
		key, value, ok := strings.Cut(record, "=")
		if ok && envName.MatchString(key) {
			f[key] = append(f[key], value)
		}
	}
	return f
}
