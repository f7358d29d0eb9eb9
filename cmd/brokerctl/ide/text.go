package ide

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// plain tells whether a terminal, and a reader, take r for what it is. The rest (control characters, those that change the direction of
// text, private ones) is escaped wherever it can be.
func plain(r rune) bool {
	return r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) && r != unicode.ReplacementChar
}

// printable replaces what cannot be escaped where it stands.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if plain(r) {
			return r
		}
		return '?'
	}, s)
}

// plainJSON escapes what JSON lets pass. Outside of strings JSON has none of it but line ends.
func plainJSON(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case plain(r) || r == '\n' || r == '\t' || r == '\r':
			b.WriteRune(r)
		case r > 0xFFFF:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// comment is a line that is nobody's code.
func comment(mark string, lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(mark + " " + printable(l) + "\n")
	}
	return b.String()
}
