package configs

import (
	"fmt"
	"strings"
)

// Error is everything that is wrong with one configuration file.
type Error struct {
	Path     string
	Problems []Problem // at least one, in the order of the file
	Err      error     // the system's error where the file could not be read; nil otherwise
}

// Problem is one mistake.
type Problem struct {
	Line    int    // from 1; 0: the file as a whole
	Column  int    // from 1, in bytes; 0: not told
	Key     string // "session.ttl"; "" where no key is at fault
	Message string
}

// Error has one line a problem: "config.toml:3: session.ttl: …".
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		var b strings.Builder
		b.WriteString(e.Path)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		if p.Column > 0 {
			fmt.Fprintf(&b, ":%d", p.Column)
		}
		if p.Key != "" {
			b.WriteString(": " + p.Key)
		}
		lines[i] = b.String() + ": " + p.Message
	}
	return strings.Join(lines, "\n")
}

func (e *Error) Unwrap() error { return e.Err }
