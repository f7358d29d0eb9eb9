package configs

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

// set puts a value into its place where it is of the right type and makes sense.
func (p *parser) set(f field, n *unstable.Node) {
	switch target := f.target(&p.config).(type) {
	case *string:
		if n.Kind != unstable.String {
			p.add(f.key, "want a string in quotes, not %s", article(n.Kind))
			return
		}
		*target = p.text(f, n)
	case *bool:
		if n.Kind != unstable.Bool {
			p.add(f.key, "want true or false, not %s", article(n.Kind))
			return
		}
		*target = string(n.Data) == "true"
	case **bool:
		if n.Kind != unstable.Bool {
			p.add(f.key, "want true or false, not %s", article(n.Kind))
			return
		}
		v := string(n.Data) == "true"
		*target = &v
	case *[]string:
		if n.Kind != unstable.Array {
			p.add(f.key, `want a list like ["/usr/bin/python3"], not %s`, article(n.Kind))
			return
		}
		*target = p.list(f, n)
	case *time.Duration:
		*target = p.duration(f, n)
	}
}

func (p *parser) text(f field, n *unstable.Node) string {
	v := string(n.Data)
	if rest, ok := strings.CutPrefix(v, "~/"); f.home && ok {
		if p.home == "" {
			p.add(f.key, "~ is not known: HOME is not set")
			return ""
		}
		v = filepath.Join(p.home, rest)
	}
	if message := f.text(v); message != "" {
		p.add(f.key, "%s", message)
	}
	return v
}

func (p *parser) list(f field, n *unstable.Node) []string {
	var out []string
	line := p.line
	defer func() { p.line = line }()
	for it := n.Children(); it.Next(); {
		item := it.Node()
		p.at(item)
		switch item.Kind {
		case unstable.Comment:
		case unstable.String:
			out = append(out, p.text(f, item))
		default:
			p.add(f.key, "want strings in quotes in the list, not %s", article(item.Kind))
		}
	}
	return out
}

func (p *parser) duration(f field, n *unstable.Node) time.Duration {
	if n.Kind != unstable.String {
		p.add(f.key, `want a duration in quotes like "90m" or "8h", not %s`, article(n.Kind))
		return 0
	}
	d, err := time.ParseDuration(string(n.Data))
	if err != nil {
		p.add(f.key, `%.40q is not a duration like "90m" or "8h"`, n.Data)
		return 0
	}
	if message := f.span(d); message != "" {
		p.add(f.key, "%s", message)
	}
	return d
}

// article names a kind of value as a person would.
func article(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "a string"
	case unstable.Bool:
		return "true or false"
	case unstable.Integer, unstable.Float:
		return "a number"
	case unstable.Array:
		return "a list"
	case unstable.InlineTable:
		return "a table"
	default:
		return "a date or time"
	}
}
