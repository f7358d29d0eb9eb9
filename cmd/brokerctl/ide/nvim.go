package ide

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// nvim is Lua for nvim-dap, which replaces ${…} in strings as VS Code does.
func nvim(s session) Config {
	maps, notes := s.mapsWithout("${")
	keys, notes := attach(s, maps, notes)
	var b strings.Builder
	b.WriteString(comment("--", s.name()))
	b.WriteString("local dap = require(\"dap\")\n")
	kind := s.name()
	switch s.lang {
	case "node":
		kind = "pwa-node"
		b.WriteString(`dap.adapters["pwa-node"] = dap.adapters["pwa-node"] or {
  type = "server", host = "localhost", port = "${port}", executable = { command = "js-debug-adapter", args = { "${port}" } },
}
`)
		notes = append(notes, "it needs js-debug: `js-debug-adapter` in PATH, or your own dap.adapters[\"pwa-node\"]")
	case "java":
		kind = "java"
		notes = append(notes, "it needs nvim-jdtls with java-debug, which defines dap.adapters.java")
	default:
		fmt.Fprintf(&b, "dap.adapters[%s] = { type = \"server\", host = %s, port = %d }\n", luaString(kind), luaString(s.host), s.port)
	}
	o := append(object{{"name", s.name()}, {"type", kind}, {"request", "attach"}}, keys...)
	for _, filetype := range map[string][]string{"node": {"javascript", "typescript"}}[s.lang] {
		luaEntry(&b, filetype, o)
	}
	if s.lang != "node" {
		luaEntry(&b, s.lang, o)
	}
	return Config{Name: s.name(), Where: "paste it into your init.lua, or write it to a file and :luafile it; then :DapContinue", Text: b.String(), Notes: notes}
}

// luaEntry puts o in the place of the configuration of the same name, or behind the others.
func luaEntry(b *strings.Builder, filetype string, o object) {
	fmt.Fprintf(b, `dap.configurations.%[1]s = vim.tbl_filter(function(c) return c.name ~= %[2]s end, dap.configurations.%[1]s or {})
table.insert(dap.configurations.%[1]s, %[3]s)
`, filetype, luaString(fmt.Sprint(o[0].value)), lua(o, ""))
}

// lua is v as a Lua expression.
func lua(v any, indent string) string {
	switch v := v.(type) {
	case object:
		var b strings.Builder
		b.WriteString("{\n")
		for _, m := range v {
			fmt.Fprintf(&b, "%s  %s = %s,\n", indent, m.key, lua(m.value, indent+"  "))
		}
		return b.String() + indent + "}"
	case list:
		var parts []string
		for _, o := range v {
			var b []string
			for _, m := range o {
				b = append(b, m.key+" = "+lua(m.value, ""))
			}
			parts = append(parts, "{ "+strings.Join(b, ", ")+" }")
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	case string:
		return luaString(v)
	case bool:
		return strconv.FormatBool(v)
	default:
		return fmt.Sprint(v)
	}
}

// luaString is s in double quotes: bytes that are no plain text as \ddd, which every Lua knows (5.1 has no \u).
func luaString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= 0x80 {
			r, n = decode(s[i:])
		}
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case plain(r):
			b.WriteString(s[i : i+n])
		default:
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, `\%03d`, c)
			}
		}
		i += n
	}
	return b.String() + `"`
}

// identifier is what stands in Lua and in Emacs Lisp without quotes.
var identifier = regexp.MustCompile(`[^A-Za-z0-9]+`)
