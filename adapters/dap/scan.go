package dap

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
)

// ErrNotObject says that a body is not a JSON object that can be scanned.
var ErrNotObject = errors.New("not a JSON object")

// span is a value's place in a text.
type span struct{ from, to int }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

// member is one "name": value of an object. Its name is still quoted.
type member struct {
	name  []byte
	value span
}

// is compares the name with one that needs no escapes.
func (m member) is(name string) bool {
	raw := m.name[1 : len(m.name)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw) == name
	}
	var s string
	return json.Unmarshal(m.name, &s) == nil && s == name
}

// members walks over the members of the object that at covers. It yields an error and ends where the text is not one.
func members(b []byte, at span) iter.Seq2[member, error] {
	return func(yield func(member, error) bool) {
		i := space(b, at.from, at.to)
		if i >= at.to || b[i] != '{' {
			yield(member{}, ErrNotObject)
			return
		}
		i = space(b, i+1, at.to)
		if i < at.to && b[i] == '}' {
			return
		}
		for {
			nameEnd := stringEnd(b, i, at.to)
			colon := space(b, nameEnd, at.to)
			if nameEnd < 0 || colon >= at.to || b[colon] != ':' {
				yield(member{}, ErrNotObject)
				return
			}
			from := space(b, colon+1, at.to)
			to := valueEnd(b, from, at.to)
			if to < 0 {
				yield(member{}, ErrNotObject)
				return
			}
			if !yield(member{b[i:nameEnd], span{from, to}}, nil) {
				return
			}
			i = space(b, to, at.to)
			if i < at.to && b[i] == '}' {
				if at.to == len(b) && space(b, i+1, at.to) < at.to { // something follows the outermost object
					yield(member{}, ErrNotObject)
				}
				return
			}
			if i >= at.to || b[i] != ',' {
				yield(member{}, ErrNotObject)
				return
			}
			i = space(b, i+1, at.to)
		}
	}
}

// space returns the place of the first byte from i on that is no white space, or end. The -1 of stringEnd and valueEnd is passed on
// as end.
func space(b []byte, i, end int) int {
	if i < 0 {
		return end
	}
	for i < end && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns the place after the string that begins at i, or -1.
func stringEnd(b []byte, i, end int) int {
	if i >= end || b[i] != '"' {
		return -1
	}
	start := i + 1
	for i = start; ; i++ {
		quote := bytes.IndexByte(b[i:end], '"') // values of megabytes are strings: this is what makes scanning them cheap
		if quote < 0 {
			return -1
		}
		i += quote
		slashes := i
		for slashes > start && b[slashes-1] == '\\' {
			slashes--
		}
		if (i-slashes)%2 == 0 {
			return i + 1
		}
	}
}

// valueEnd returns the place after the value that begins at i, or -1. Brackets are counted, not matched, so that depth costs nothing.
func valueEnd(b []byte, i, end int) int {
	if i >= end {
		return -1
	}
	switch b[i] {
	case '"':
		return stringEnd(b, i, end)
	case '{', '[':
	default: // number, true, false, null
		from := i
		for i < end && bytes.IndexByte([]byte(" \t\r\n,:{}[]\""), b[i]) < 0 {
			i++
		}
		if i == from {
			return -1
		}
		return i
	}
	depth := 0
	for i < end {
		switch b[i] {
		case '"':
			if i = stringEnd(b, i, end); i < 0 {
				return -1
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return -1
}
