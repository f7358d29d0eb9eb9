package ide

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/tailscale/hujson"
)

// document is a text in which parts are replaced and the rest stays.
type document struct {
	text  []byte
	style style
}

// style is how a file is written.
type style struct{ eol, unit string }

// edit replaces text[from:to].
type edit struct {
	from, to int
	with     []byte
}

// apply carries out edits that are in the order of the text and do not overlap.
func (d document) apply(edits []edit) []byte {
	var b bytes.Buffer
	at := 0
	for _, e := range edits {
		b.Write(d.text[at:e.from])
		b.Write(e.with)
		at = e.to
	}
	b.Write(d.text[at:])
	return b.Bytes()
}

// position is line:column, counted from 1, the column in bytes.
func (d document) position(at int) string {
	line := 1 + bytes.Count(d.text[:at], []byte("\n"))
	return fmt.Sprintf("%d:%d", line, at-bytes.LastIndexByte(d.text[:at], '\n'))
}

// lines tells whether a part has several lines.
func (d document) lines(from, to int) bool { return bytes.IndexByte(d.text[from:to], '\n') >= 0 }

// indentAt is the blanks at the beginning of the line in which at is.
func (d document) indentAt(at int) string {
	line := d.text[bytes.LastIndexByte(d.text[:at], '\n')+1 : at]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// begins tells whether at is the first in its line.
func (d document) begins(at int) bool {
	line := d.text[:at]
	i := bytes.LastIndexByte(line, '\n')
	return i >= 0 && len(bytes.TrimLeft(line[i+1:], " \t")) == 0
}

func styleOf(text []byte, root hujson.Value, sh shape) style {
	st := style{eol: "\n", unit: sh.unit}
	if i := bytes.IndexByte(text, '\n'); i > 0 && text[i-1] == '\r' {
		st.eol = "\r\n"
	}
	d := document{text: text}
	if first := children(root); len(first) > 0 && d.begins(first[0].from) {
		if in, out := d.indentAt(first[0].from), d.indentAt(root.StartOffset); len(in) > len(out) {
			st.unit = in[len(out):]
		}
	}
	return st
}

// children are where a list's elements, or an object's members, stand.
func children(v hujson.Value) (parts []edit) {
	switch v := v.Value.(type) {
	case *hujson.Array:
		for _, e := range v.Elements {
			parts = append(parts, edit{from: e.StartOffset, to: e.EndOffset})
		}
	case *hujson.Object:
		for _, m := range v.Members {
			parts = append(parts, edit{from: m.Name.StartOffset, to: m.Value.EndOffset})
		}
	}
	return parts
}

// add puts one more part behind those of a list or object. make gives it for an indentation, in one line or several.
func (d document) add(v hujson.Value, make func(indent string, multi bool) []byte) []byte {
	parts := children(v)
	end := v.EndOffset - 1 // the closing bracket
	inner := d.indentAt(end) + d.style.unit
	if !d.begins(end) {
		inner = d.indentAt(v.StartOffset) + d.style.unit
	}
	eol := []byte(d.style.eol)
	if len(parts) == 0 {
		return d.addFirst(v, make, inner)
	}
	last := parts[len(parts)-1]
	comma := d.comma(last.to)
	after, sep := last.to, edit{last.to, last.to, []byte(",")}
	if comma >= 0 {
		after = comma + 1
	}
	at := d.sameLine(after)
	var with []byte
	switch {
	case d.lines(at, end): // the bracket stands in a line of its own
		if d.begins(last.from) {
			inner = d.indentAt(last.from)
		}
		with = slices.Concat(eol, []byte(inner), make(inner, true))
	case d.lines(v.StartOffset, end):
		with = slices.Concat([]byte(" "), make(d.indentAt(last.from), true))
	default:
		with = slices.Concat([]byte(" "), make("", false))
	}
	if comma >= 0 {
		return d.apply([]edit{{at, at, append(with, ',')}})
	}
	return d.apply([]edit{sep, {at, at, with}})
}

// addFirst puts the first part between brackets that hold blanks and comments at most.
func (d document) addFirst(v hujson.Value, make func(indent string, multi bool) []byte, inner string) []byte {
	open, end := v.StartOffset+1, v.EndOffset-1
	if whole := d.lines(0, len(d.text)); !whole {
		return d.apply([]edit{{end, end, make("", false)}})
	}
	at := open // behind the last comment
	for i := open; i < end; i++ {
		if d.text[i] == '/' {
			at = d.commentEnd(i)
			i = at - 1
		}
	}
	with := slices.Concat([]byte(d.style.eol+inner), make(inner, true))
	if !d.lines(at, end) {
		with = append(with, d.style.eol+inner[:len(inner)-len(d.style.unit)]...)
	}
	return d.apply([]edit{{at, at, with}})
}

// comma is where the comma behind at is, over blanks and comments, or -1.
func (d document) comma(at int) int {
	for at < len(d.text) {
		switch c := d.text[at]; {
		case c == ',':
			return at
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			at++
		case c == '/':
			at = d.commentEnd(at)
		default:
			return -1
		}
	}
	return -1
}

// sameLine is where the comments behind at that belong to its line end.
func (d document) sameLine(at int) int {
	for i := at; i < len(d.text); {
		switch c := d.text[i]; {
		case c == ' ' || c == '\t':
			i++
		case c == '/':
			end := d.commentEnd(i)
			if d.text[i+1] == '*' && d.lines(i, end) {
				return at
			}
			i, at = end, end
		default:
			return at
		}
	}
	return at
}

// commentEnd is where the comment that begins at at ends, a line comment before its end of line. The text has been parsed.
func (d document) commentEnd(at int) int {
	if d.text[at+1] == '*' {
		return at + 2 + bytes.Index(d.text[at+2:], []byte("*/")) + 2
	}
	end := bytes.IndexByte(d.text[at:], '\n')
	if end < 0 {
		return len(d.text)
	}
	if end > 0 && d.text[at+end-1] == '\r' {
		end--
	}
	return at + end
}

// tooDeep is where brackets stand deeper in each other than maxDepth, or -1. It reads strings and comments as the parser does, up to where that would stop.
func tooDeep(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '[', '{':
			if depth++; depth > maxDepth {
				return i
			}
		case ']', '}':
			depth--
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '/':
			opens, closes := "/*", "*/"
			if bytes.HasPrefix(text[i:], []byte("//")) {
				opens, closes = "//", "\n"
			}
			body, ok := bytes.CutPrefix(text[i:], []byte(opens))
			end := bytes.Index(body, []byte(closes))
			if !ok || end < 0 {
				return -1 // the parser gets no further
			}
			i += len(opens) + end + len(closes) - 1
		}
	}
	return -1
}
