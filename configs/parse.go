package configs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxProblems bounds how many mistakes are told of one file.
const maxProblems = 50

// parser holds a file against the schema.
type parser struct {
	toml     unstable.Parser
	data     []byte
	newlines []int // offsets
	home     string
	config   Config
	problems []Problem
	table    string         // the table that keys are in; "" is the top
	skip     bool           // the table is unknown, and was told so once
	line     int            // of the expression at hand
	seen     map[string]int // key or [table]: line; of an array's keys those of its last element
	element  *element       // the [[table]] that keys are in, if they are in one
}

// element is one [[table]], of which a file may have several.
type element struct {
	array
	line int
}

// parse reads a file's content over the defaults. The configuration is of use only where there are no problems.
func parse(data []byte, home string) (Config, []Problem) {
	data, bad := text(data)
	if bad != nil {
		return Config{}, []Problem{*bad}
	}
	p := &parser{data: slices.Clip(data), home: home, config: Default(), seen: map[string]int{}}
	for i, b := range data {
		if b == '\n' {
			p.newlines = append(p.newlines, i)
		}
	}
	p.toml.Reset(p.data)
	for len(p.problems) <= maxProblems && p.toml.NextExpression() {
		p.expression(p.toml.Expression())
	}
	p.leave()
	if err := p.toml.Error(); err != nil {
		p.syntax(err)
	} else if len(p.problems) == 0 {
		p.decode()
	}
	slices.SortStableFunc(p.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	if len(p.problems) > maxProblems {
		p.problems = append(p.problems[:maxProblems:maxProblems], Problem{Message: "and more"})
	}
	for i := range p.problems {
		p.problems[i].Message = printable(p.problems[i].Message)
	}
	return p.config, p.problems
}

// position turns an offset into line and column, from 1.
func (p *parser) position(offset int) (line, column int) {
	line = sort.SearchInts(p.newlines, offset)
	if line > 0 {
		offset -= p.newlines[line-1] + 1
	}
	return line + 1, offset + 1
}

func (p *parser) add(key, format string, args ...any) {
	p.problems = append(p.problems, Problem{Line: p.line, Key: key, Message: fmt.Sprintf(format, args...)})
}

// syntax tells of a file that is no TOML from some place on; what was found before it is told too.
func (p *parser) syntax(err error) {
	problem := Problem{Message: "not TOML: " + err.Error()}
	var at *unstable.ParserError
	if errors.As(err, &at) {
		// A subslice tells where it begins by how much room is left behind it: data is clipped.
		if offset := len(p.data) - cap(at.Highlight); offset >= 0 && offset <= len(p.data) {
			problem.Line, problem.Column = p.position(offset)
		}
	}
	p.problems = append(p.problems, problem)
}

// decode has go-toml read a file that we found right: rules of TOML about the whole of a file are its to know.
func (p *parser) decode() {
	var whole map[string]any
	err := toml.Unmarshal(p.data, &whole)
	if err == nil {
		return
	}
	problem := Problem{Message: "not TOML: " + strings.TrimPrefix(err.Error(), "toml: ")}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		problem.Line, problem.Column = at.Position()
	}
	p.problems = append(p.problems, problem)
}

// printable is text that a terminal may see, of a length that a person may.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
	if len(s) > 400 {
		s = strings.ToValidUTF8(s[:400], "") + "…"
	}
	return s
}

func (p *parser) expression(n *unstable.Node) {
	switch n.Kind {
	case unstable.Table, unstable.ArrayTable:
		p.enter(p.key(n.Key()), n.Kind == unstable.ArrayTable)
	case unstable.KeyValue:
		p.keyValue(p.table, n)
	}
}

// key joins a dotted key and notes its line.
func (p *parser) key(it unstable.Iterator) string {
	var parts []string
	for it.Next() {
		if len(parts) == 0 {
			p.at(it.Node())
		}
		part := string(it.Node().Data)
		if quoted := fmt.Sprintf("%.100q", part); part == "" || strings.ContainsAny(part, ". ") || quoted != `"`+part+`"` {
			part = quoted // cannot be mistaken for two, and cannot do anything to a terminal
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ".")
}

// at notes the line of a node that knows where it is.
func (p *parser) at(n *unstable.Node) {
	if n.Raw.Length > 0 {
		p.line, _ = p.position(int(n.Raw.Offset))
	}
}

// enter begins a table.
func (p *parser) enter(table string, array bool) {
	p.leave()
	known := slices.Contains(tables(), table)
	p.table, p.skip = table, !known || array
	name := "[" + table + "]"
	if a, ok := arrayOf(table); ok && a.name == table {
		if p.skip = !array; p.skip {
			p.add(name, "may be there several times; write [%s]", name)
			return
		}
		p.element = &element{a, p.line}
		a.begin(&p.config, p.line)
		return
	}
	switch {
	case array && known:
		p.add("["+name+"]", "is one table, not several; write %s", name)
	case !known:
		p.add(name, "no such table%s", didYouMean(table, tableNames()))
	case p.seen[name] > 0:
		p.add(name, "is there twice; the first is in line %d", p.seen[name])
	default:
		p.seen[name] = p.line
	}
}

// leave ends an element, which is then judged as a whole.
func (p *parser) leave() {
	e := p.element
	if e == nil {
		return
	}
	p.element = nil
	given := map[string]bool{}
	for _, f := range e.fields {
		given[f.key] = p.seen[f.key] > 0
		delete(p.seen, f.key)
	}
	for _, message := range e.whole(&p.config, given) {
		p.problems = append(p.problems, Problem{Line: e.line, Key: "[[" + e.name + "]]", Message: message})
	}
}

// keyValue takes one key, and those of an inline table one by one.
func (p *parser) keyValue(table string, n *unstable.Node) {
	if p.skip {
		return
	}
	key := p.key(n.Key())
	if table != "" {
		key = table + "." + key
	}
	if n.Value().Kind == unstable.InlineTable && slices.Contains(tables(), key) {
		for it := n.Value().Children(); it.Next(); {
			p.keyValue(key, it.Node())
		}
		return
	}
	if first := p.seen[key]; first > 0 {
		p.add(key, "is there twice; the first is in line %d", first)
		return
	}
	p.seen[key] = p.line
	fields := schema()
	if a, ok := arrayOf(key); ok {
		if p.element == nil || p.element.name != a.name {
			delete(p.seen, key)
			p.add(key, "belongs to a table that may be there several times; write [[%s]] on a line of its own", a.name)
			return
		}
		fields = a.fields
	}
	i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
	switch {
	case i >= 0:
		p.set(fields[i], n.Value())
	case slices.Contains(tables(), key):
		p.add(key, "is a table, not %s; write [%s] on a line of its own", article(n.Value().Kind), key)
	default:
		p.add(key, "no such key%s", suggestKey(key, fields))
	}
}
