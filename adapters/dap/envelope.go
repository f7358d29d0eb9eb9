package dap

import (
	"encoding/json"
	"strconv"
)

// Envelope is what a message is about, without what it says.
type Envelope struct {
	Seq        int
	Type       string // request, response, event
	Command    string // of a request or response
	Event      string
	RequestSeq int // of a response
	Success    bool
}

// Scan reads the envelope of a body. Members of an unexpected type count as absent, and of several of one name the last counts, as
// for the JSON parsers at both ends. It returns ErrNotObject where the body is not an object.
func Scan(body []byte) (Envelope, error) {
	var e Envelope
	for m, err := range members(body, span{0, len(body)}) {
		if err != nil {
			return Envelope{}, err
		}
		v := m.value.of(body)
		switch {
		case m.is("seq"):
			e.Seq, _ = Int(v)
		case m.is("type"):
			e.Type, _ = String(v)
		case m.is("command"):
			e.Command, _ = String(v)
		case m.is("event"):
			e.Event, _ = String(v)
		case m.is("request_seq"):
			e.RequestSeq, _ = Int(v)
		case m.is("success"):
			e.Success = string(v) == "true"
		}
	}
	return e, nil
}

// Find returns the text of a member below the body's objects: Find(body, "arguments", "subProcessId"). Of several of one name the
// last counts. ok is false where there is none.
func Find(body []byte, path ...string) (value []byte, ok bool) {
	at := span{0, len(body)}
	for _, name := range path {
		found := false
		next := span{}
		for m, err := range members(body, at) {
			if err != nil {
				return nil, false
			}
			if m.is(name) {
				next, found = m.value, true
			}
		}
		if !found {
			return nil, false
		}
		at = next
	}
	return at.of(body), true
}

// Int reads a JSON value that is a whole number.
func Int(value []byte) (int, bool) {
	if len(value) > 19 { // longer than any int64: hostile, and not worth a copy
		return 0, false
	}
	n, err := strconv.Atoi(string(value))
	return n, err == nil && value[0] != '+'
}

// String reads a JSON value that is a string of at most 256 bytes: every name that DAP knows is shorter.
func String(value []byte) (string, bool) {
	if len(value) < 2 || len(value) > 256 || value[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(value, &s)
	return s, err == nil
}
