package tunnel

import (
	"crypto/rand"
	"embed"
	"encoding/hex"
	"errors"
	"strings"
)

// shellCommand and rootCommand are the only command lines that are ever sent: every login shell understands them, and they show
// nothing. All else travels on standard input.
//
// -H is what most systems' sudo does anyway. Elsewhere root's programs would leave files of root's in the user's home.
const (
	shellCommand = "exec /bin/sh -s"
	rootCommand  = "exec sudo -n -H /bin/sh -s"
)

// The shell text lives in files of its own, so that it can be read and checked as what it is.
//
//go:embed scripts/*.sh
var scriptFiles embed.FS

var errNUL = errors.New("NUL byte in text for a shell")

// quote makes one word of s for a POSIX shell, whatever bytes s holds; NUL cannot be passed to any program.
func quote(s string) (string, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return "", errNUL
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'", nil
}

// isName tells whether s is a name that a POSIX shell can assign to.
func isName(s string) bool {
	for i, c := range []byte(s) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// script builds shell text. The first error is kept, and given by done.
type script struct {
	text strings.Builder
	err  error
}

// set assigns a quoted value to a shell variable of ours.
func (s *script) set(name, value string) *script { return s.words(name+"=", value) }

// words adds a line: text, then each of args quoted.
func (s *script) words(text string, args ...string) *script {
	s.text.WriteString(text)
	for i, arg := range args {
		if i > 0 {
			s.text.WriteByte(' ')
		}
		q, err := quote(arg)
		if err != nil && s.err == nil {
			s.err = err
		}
		s.text.WriteString(q)
	}
	s.text.WriteByte('\n')
	return s
}

// include adds files of scripts/ without their comments, which would only cost time: bash reads its input byte by byte.
func (s *script) include(names ...string) *script {
	for _, name := range names {
		data, err := scriptFiles.ReadFile("scripts/" + name + ".sh")
		if err != nil && s.err == nil {
			s.err = err
		}
		for line := range strings.Lines(string(data)) {
			if trimmed := strings.TrimSpace(line); trimmed != "" && trimmed[0] != '#' {
				s.text.WriteString(strings.TrimLeft(line, "\t"))
			}
		}
	}
	return s
}

func (s *script) done() (string, error) { return s.text.String(), s.err }

// marker is a random word that parts what a script says from the noise around it. A script prints it in two halves, so that a
// shell that echoes its input does not print it.
type marker string

func newMarker() marker {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return marker(hex.EncodeToString(b[:]))
}

// print is shell text that prints the marker and one more word.
func (m marker) print(word string) string {
	return "printf '%s%s%s\\n' " + string(m[:16]) + " " + string(m[16:]) + " " + word
}

// frame makes of body one compound command, which the shell has read whole before it runs any of it: shells read ahead, so
// nothing that follows could rely on its place in the input. Descriptor 3 becomes the channel's input; commands see /dev/null.
// dbk_begin_err is left to body to call where lateStderr is set.
func (m marker) frame(body string, lateStderr bool) string {
	var b strings.Builder
	b.WriteString("{\nexec 3<&0 </dev/null\n")
	b.WriteString("dbk_begin_err() { " + m.print("B") + " >&2; }\n")
	if !lateStderr {
		b.WriteString("dbk_begin_err\n")
	}
	b.WriteString(m.print("B") + "\n")
	b.WriteString(body)
	b.WriteString("\nexit\n}\n")
	return b.String()
}

// end is shell text that tells the exit code in dbk_code behind both streams, and exits with it.
func (m marker) end() string {
	return m.print(`"E$dbk_code"`) + "\n" + m.print(`"E$dbk_code"`) + " >&2\nexit $dbk_code\n"
}
