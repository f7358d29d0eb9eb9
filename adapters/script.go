package adapters

import (
	"regexp"
	"strings"
)

// maxFacts bounds what is read of a probe's answer: the host is not trusted.
const maxFacts = 256 << 10

// quote returns s as one word of POSIX sh, whatever it holds but NUL, which no argument can hold.
func quote(s string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, "\x00", ""), "'", `'\''`) + "'"
}

// quoteAll returns words for a for loop or a set.
func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

// envName is a name that a shell can export.
var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// factFunction defines `fact KEY VALUE`, which prints a line for parseFacts. Backslashes and newlines of the value are escaped, since
// paths may hold them.
const factFunction = `fact() {
	printf '%s=' "$1"
	printf '%s\n' "$2" | LC_ALL=C sed -e 's/\\/\\\\/g' -e '$!s/$/\\n/' | tr -d '\n'
	printf '\n'
}
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

// parseFacts reads KEY=VALUE lines as `fact` prints them. Other lines are noise and skipped.
func parseFacts(answer string) facts {
	if len(answer) > maxFacts {
		answer = answer[:maxFacts]
	}
	f := facts{}
	for line := range strings.SplitSeq(answer, "\n") {
		key, value, ok := strings.Cut(line, "=")
		if ok && envName.MatchString(key) {
			f[key] = append(f[key], unescape.Replace(value))
		}
	}
	return f
}

var unescape = strings.NewReplacer(`\\`, `\`, `\n`, "\n")
