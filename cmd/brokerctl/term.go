package main

import (
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// The rules of the terminal's words.
//
// What a terminal shows is ours to say. Text that came from the daemon may come from a remote host, and what a remote host prints
// may be written to move the cursor, retitle the window, answer for the keyboard, or make one line look like another. So:
//
//   - Every text from the daemon goes through clean, or through cleanText where it is output of several lines, before it is
//     written for people, to a terminal or not (a pipe often ends at one). In JSON the same characters are escaped (plainJSON).
//   - clean makes one line: newlines, tabs and other white space become blanks. cleanText keeps newlines and tabs.
//   - Both drop C0, DEL and C1 controls (U+009B begins an escape sequence as ESC [ does), the marks that change direction, the
//     line and paragraph separators, and invisible characters which have no business in names, paths or program output.
//     A byte that is not UTF-8 becomes U+FFFD: 0x9B alone is a control to some terminals.
//   - Colour, and moving the cursor, only on a terminal; colour not with NO_COLOR set to anything, neither with TERM=dumb.
//   - stdout carries the answer; stderr carries progress, warnings, `error: …` and `hint: …`.

// clean makes s fit for a place where one line is expected.
func clean(s string) string { return strip(s, false) }

// cleanText makes s fit for printing as it is, its lines kept.
func cleanText(s string) string { return strip(s, true) }

func strip(s string, lines bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			if lines {
				return r
			}
			return ' '
		case r == '\r' && lines: // "\r\n" is a line's end, a lone one would overwrite the line
			return -1
		case r == '\u2028' || r == '\u2029' || r == '\r' || r == '\v' || r == '\f':
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Co):
			return -1 // Cf has the bidi marks, the zero-width ones and the tags
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// The colours, as SGR parameters.
const (
	red    = "31;1"
	green  = "32;1"
	yellow = "33"
	dim    = "2"
)

// terminal is an output stream and what it can show.
type terminal struct {
	*os.File
	tty    bool // somebody may be looking
	cursor bool // lines may be rewritten
	colour bool
}

func newTerminal(f *os.File, env func(string) string) terminal {
	t := terminal{File: f, tty: term.IsTerminal(int(f.Fd()))}
	t.cursor = t.tty && env("TERM") != "dumb"
	t.colour = t.cursor && env("NO_COLOR") == ""
	return t
}

// paint colours s, which is clean, where that can be seen.
func (t terminal) paint(colour, s string) string {
	if !t.colour {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// size is the terminal's width and height; 0, 0 means that there is no limit.
func (t terminal) size() (width, height int) {
	if !t.tty {
		return 0, 0
	}
	w, h, err := term.GetSize(int(t.Fd()))
	if err != nil {
		return 0, 0
	}
	return w, h
}

// cut shortens s, which is clean, to width characters; 0 is no limit.
func cut(s string, width int) string {
	r := []rune(s)
	if width <= 0 || len(r) <= width {
		return s
	}
	return string(r[:width-1]) + "…"
}
