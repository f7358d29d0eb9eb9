package ide

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// emacs is Emacs Lisp: an entry of dape's list, or for java, which dape has through a language server only, a call of the built-in jdb mode.
func emacs(s session) Config {
	maps, notes := s.mapsWithout()
	keys, notes := attach(s, maps, notes)
	c := Config{Name: s.name(), Where: "evaluate it (M-:), or put it into your init.el; then M-x dape", Notes: notes}
	symbol := identifier.ReplaceAllString("debugbroker-"+strings.TrimPrefix(s.target, ":"), "-")
	text := comment(";;", s.name())
	switch s.lang {
	case "python":
		c.Text = text + dape(symbol, "(python-mode python-ts-mode)", s, append(object{{":type", "python"}, {":request", "attach"}}, keywords(keys)...))
	case "go":
		c.Text = text + dape(symbol, "(go-mode go-ts-mode)", s, append(object{{":type", "go"}, {":request", "attach"}}, keywords(keys)...))
	case "node":
		// js-debug is started here and told where the program is; where it is installed is known to dape's own entry, whose
		// members ours stand before: the first of a name counts.
		c.Text = fmt.Sprintf("%s(require 'dape)\n(add-to-list 'dape-configs\n  (append '(%s%s)\n    (alist-get 'js-debug-node-attach dape-configs)))\n",
			text, symbol, members(keywords(keys), "\n    "))
	default:
		c.Where = "evaluate it (M-:)"
		c.Text = text + "(jdb " + lispString(gudCommand(jdb(s))) + ")\n"
	}
	return c
}

// gudCommand is argv as gud takes it apart (split-string-and-unquote): words with blanks are Lisp strings.
func gudCommand(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		if words[i] = w; !bare.MatchString(w) {
			words[i] = lispString(w)
		}
	}
	return strings.Join(words, " ")
}

func dape(symbol, modes string, s session, o object) string {
	return fmt.Sprintf("(require 'dape)\n(add-to-list 'dape-configs\n  '(%s\n    modes %s\n    host %s\n    port %d%s))\n", symbol, modes, lispString(s.host), s.port, members(o, "\n    "))
}

func keywords(o object) object {
	var k object
	for _, m := range o {
		k = append(k, member{":" + m.key, m.value})
	}
	return k
}

// members are o's keys and values, each behind sep.
func members(o object, sep string) string {
	var b strings.Builder
	for _, m := range o {
		b.WriteString(sep + m.key + " " + lisp(m.value))
	}
	return b.String()
}

// lisp is v as a Lisp expression that may stand in a quoted list; dape takes nil for false.
func lisp(v any) string {
	switch v := v.(type) {
	case list:
		var parts []string
		for _, o := range v {
			parts = append(parts, "("+strings.TrimPrefix(members(keywords(o), " "), " ")+")")
		}
		return "[" + strings.Join(parts, " ") + "]"
	case string:
		return lispString(v)
	case bool:
		if v {
			return "t"
		}
		return "nil"
	default:
		return fmt.Sprint(v)
	}
}

func lispString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case plain(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String() + `"`
}

func decode(s string) (rune, int) { return utf8.DecodeRuneInString(s) }
