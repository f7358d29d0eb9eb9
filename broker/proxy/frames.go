package proxy

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
)

// RFC 6455, 5.2 and 7.4.
const (
	wsText      = 0x1
	wsClose     = 0x8
	wsFin       = 0x80
	wsMask      = 0x80
	wsGoingAway = 1001
)

var errShut = errors.New("the front end was told that the session is over")

// frames passes on what a server says on a websocket, as it comes, and knows where messages end: it holds the front end's pen through
// each, fragments included. What is not a websocket after all is passed on too, and never spoken into.
type frames struct {
	c       *client
	holding bool // only Write's

	// guarded by the pen
	answer  []byte // of the HTTP answer, until it is whole
	head    []byte // of a frame's header, until it is whole
	payload uint64 // bytes of the frame that are still to come
	within  bool   // fragments of a message are still to come
	begun   bool   // the HTTP answer was read
	silent  bool   // nothing of ours may follow
	shut    bool   // nothing may follow
}

func (f *frames) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		if !f.holding {
			f.c.pen.hold()
			f.holding = true
		}
		if f.shut {
			return n, errShut
		}
		part := p[n:]
		if f.c.pen.wanted() {
			// What comes in one piece may never end where a message does, least of all in a flood.
			part = part[:f.message(part)]
		}
		var m int
		m, err = f.c.front.Write(part)
		n += m
		f.follow(part[:m])
		if err == nil && f.between() {
			f.rest()
		}
	}
	return n, err
}

// rest gives the pen back, if it is held.
func (f *frames) rest() {
	if f.holding {
		f.holding = false
		f.c.pen.drop()
	}
}

// end is called when the server says no more, maybe in the midst of a message.
func (f *frames) end() {
	if !f.holding {
		f.c.pen.hold()
		f.holding = true
	}
	f.shut = true
	f.rest()
}

// between tells whether a message has ended and none has begun.
func (f *frames) between() bool {
	return f.silent || f.begun && len(f.head) == 0 && f.payload == 0 && !f.within
}

// follow takes note of what was passed on.
func (f *frames) follow(p []byte) {
	for len(p) > 0 && !f.silent {
		p = f.step(p)
	}
}

// message is how much of p, which is not empty, is up to the end of a message; all of it where none ends there.
func (f *frames) message(p []byte) int {
	ahead := *f
	ahead.answer, ahead.head = bytes.Clone(f.answer), bytes.Clone(f.head)
	rest := p
	for len(rest) > 0 && !ahead.silent {
		if rest = ahead.step(rest); ahead.between() {
			return len(p) - len(rest)
		}
	}
	return len(p)
}

// step takes note of a part of p, and returns what stands behind it.
func (f *frames) step(p []byte) []byte {
	switch {
	case !f.begun:
		return f.followAnswer(p)
	case f.payload > 0:
		n := min(uint64(len(p)), f.payload)
		f.payload -= n
		return p[n:]
	default:
		f.head = append(f.head, p[0])
		f.followHead()
		return p[1:]
	}
}

// followAnswer reads the HTTP answer, up to its empty line, and returns what stands behind it.
func (f *frames) followAnswer(p []byte) []byte {
	before := len(f.answer)
	f.answer = append(f.answer, p[:min(len(p), maxHTTP)]...)
	end := bytes.Index(f.answer, []byte("\r\n\r\n"))
	switch {
	case end < 0:
		f.silent = len(f.answer) >= maxHTTP
		return nil
	case !bytes.HasPrefix(f.answer, []byte("HTTP/1.1 101 ")):
		f.silent = true
		return nil
	}
	f.begun, f.answer = true, nil
	return p[end+4-before:]
}

// followHead reads a frame's header once it is whole.
func (f *frames) followHead() {
	if len(f.head) < 2 {
		return
	}
	size := 2
	length := uint64(f.head[1] &^ wsMask)
	switch length {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.head[1]&wsMask != 0 {
		size += 4
	}
	if len(f.head) < size {
		return
	}
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		length = binary.BigEndian.Uint64(f.head[2:])
	}
	switch opcode := f.head[0] & 0xf; {
	case opcode == wsClose:
		f.silent = true
	case opcode < wsClose:
		f.within = f.head[0]&wsFin == 0
	}
	f.payload, f.head = length, f.head[:0]
}

// line is nothing: CDP has no words for a line that is not the program's.
func (f *frames) line(string) []byte { return nil }

// farewell is the event that browsers send when a target is taken away, and the websocket's end.
func (f *frames) farewell(reason string) []byte {
	if !f.begun || f.silent || f.shut {
		return nil
	}
	f.shut = true
	event, err := json.Marshal(map[string]any{"method": "Inspector.detached", "params": map[string]string{"reason": reason}})
	if err != nil {
		return nil
	}
	return append(wsFrame(wsText, event), wsFrame(wsClose, binary.BigEndian.AppendUint16(nil, wsGoingAway))...)
}

// wsFrame is a whole frame of a server, which masks none; at most 64 KiB.
func wsFrame(opcode byte, payload []byte) []byte {
	head := []byte{wsFin | opcode, byte(len(payload))}
	if len(payload) > 125 {
		head = binary.BigEndian.AppendUint16([]byte{wsFin | opcode, 126}, uint16(min(len(payload), 0xffff)))
	}
	return append(head, payload[:min(len(payload), 0xffff)]...)
}
