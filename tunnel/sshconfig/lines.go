package sshconfig

import (
	"slices"
	"strings"
)

// configLine is a line of a configuration file, taken apart as ssh does (readconf.c, process_config_line_depth).
type configLine struct {
	file    string
	number  int
	keyword string   // in lower case
	args    []string // without quotes
	raw     string   // what follows the keyword, quotes and all
	bad     string   // why ssh would not take it; "" where it would
}

const blanks = " \t\r\n"

// parseLine reads a line. It is false for one that says nothing.
func parseLine(text string) (configLine, bool) {
	text, _, _ = strings.Cut(text, "\x00") // what C takes for the end
	text = strings.TrimRight(text, blanks+"\f")
	keyword, rest, ok := cutWord(text)
	if ok && keyword == "" { // blanks before it
		keyword, rest, ok = cutWord(rest)
	}
	if !ok || keyword == "" || keyword[0] == '#' {
		return configLine{}, false
	}
	line := configLine{keyword: lower(keyword), raw: strings.TrimLeft(rest, blanks)}
	if line.raw == "" {
		line.bad = "it has no argument"
		return line, true
	}
	if line.args, ok = splitArgs(line.raw, true); !ok {
		line.bad = "a quote is not closed"
	}
	return line, true
}

// cutWord takes the first word off: up to blanks, one = and blanks, or quotes (misc.c, strdelim). It is false where a quote is not closed.
func cutWord(text string) (word, rest string, ok bool) {
	end := strings.IndexAny(text, blanks+`"=`)
	if end < 0 {
		return text, "", true
	}
	if text[end] == '"' {
		inner, after, ok := strings.Cut(text[end+1:], `"`)
		return text[:end] + inner, strings.TrimLeft(after, blanks), ok
	}
	word, rest = text[:end], strings.TrimLeft(text[end+1:], blanks)
	if text[end] != '=' && strings.HasPrefix(rest, "=") {
		rest = strings.TrimLeft(rest[1:], blanks)
	}
	return word, rest, true
}

// splitArgs parts arguments at blanks outside of quotes; a comment ends them where there may be one (misc.c, argv_split). It is false where a
// quote is not closed.
func splitArgs(raw string, comments bool) ([]string, bool) {
	var args []string
	for i := 0; i < len(raw); i++ {
		if raw[i] == ' ' || raw[i] == '\t' {
			continue
		}
		if comments && raw[i] == '#' {
			break
		}
		var arg strings.Builder
		var quote byte
		for ; i < len(raw); i++ {
			c := raw[i]
			if c == '\\' && i+1 < len(raw) && escapes(raw[i+1], quote) {
				i++
				arg.WriteByte(raw[i])
				continue
			}
			if quote == 0 && (c == ' ' || c == '\t') {
				break
			}
			switch {
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case quote != 0 && c == quote:
				quote = 0
			default:
				arg.WriteByte(c)
			}
		}
		args = append(args, arg.String())
		if quote != 0 {
			return args, false
		}
	}
	return args, true
}

// escapes tells whether a backslash before c is taken off.
func escapes(c, quote byte) bool {
	return c == '\'' || c == '"' || c == '\\' || quote == 0 && c == ' '
}

// joinArgs is a line that splitArgs parts into these arguments again.
func joinArgs(args []string) string {
	words := slices.Clone(args)
	for i, arg := range words {
		if arg == "" || strings.ContainsAny(arg, " \t\"'\\") {
			words[i] = `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(arg) + `"`
		}
	}
	return strings.Join(words, " ")
}
