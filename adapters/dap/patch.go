package dap

import (
	"bytes"
	"errors"
	"strconv"
)

// errNoLength cannot happen to a message that came from a Reader.
var errNoLength = errors.New("message without Content-Length")

// Replace returns m with the member at path replaced by value, which is JSON text. Only that value and the number in Content-Length
// change; the result shares nothing with m. Where several members have the name, all are replaced, so that no parser reads the old
// one. ok is false, and m is returned, where there is no such member or the body cannot be scanned.
func Replace(m Message, value []byte, path ...string) (out Message, ok bool) {
	body := m.Body()
	places := find(body, nil, span{0, len(body)}, path)
	if len(places) == 0 {
		return m, false
	}
	patched := make([]byte, 0, len(body)+len(places)*len(value))
	at := 0
	for _, p := range places {
		patched = append(patched, body[at:p.from]...)
		patched = append(patched, value...)
		at = p.to
	}
	patched = append(patched, body[at:]...)
	return reframe(m, patched)
}

// reframe gives m another body. Of the header only the number in Content-Length changes.
func reframe(m Message, patched []byte) (Message, bool) {
	num, err := lengthValue(m.Raw[:m.body])
	if err != nil {
		return m, false
	}
	raw := make([]byte, 0, m.body+len(patched)+8)
	raw = append(raw, m.Raw[:num.from]...)
	raw = strconv.AppendInt(raw, int64(len(patched)), 10)
	raw = append(raw, m.Raw[num.to:m.body]...)
	head := len(raw)
	return Message{Raw: append(raw, patched...), body: head}, true
}

// find appends the places of all members at path, in order. An object that breaks off has none.
func find(b []byte, places []span, at span, path []string) []span {
	before := len(places)
	for m, err := range members(b, at) {
		if err != nil {
			return places[:before]
		}
		if !m.is(path[0]) {
			continue
		}
		if len(path) == 1 {
			places = append(places, m.value)
		} else {
			places = find(b, places, m.value, path[1:])
		}
	}
	return places
}

// lengthValue finds the digits of Content-Length in a header that a Reader has accepted.
func lengthValue(header []byte) (span, error) {
	for at := 0; at < len(header); {
		end := bytes.IndexByte(header[at:], '\n') + at
		line := header[at:end]
		name, _, ok := bytes.Cut(line, []byte(":"))
		if ok && bytes.EqualFold(name, []byte("Content-Length")) {
			from := at + len(name) + 1 + bytes.IndexAny(line[len(name)+1:], "0123456789")
			to := from
			for header[to] >= '0' && header[to] <= '9' {
				to++
			}
			return span{from, to}, nil
		}
		at = end + 1
	}
	return span{}, errNoLength
}
