package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The types of frames; doc.go says what is in each.
const (
	frameData  = 1
	frameFin   = 2
	frameReset = 3
	frameAck   = 4
	frameOpen  = 5
	// A reader skips a frame whose type it does not know if this bit is set, and takes any other for the end.
	frameOptional = 0x80
)

const (
	headBytes  = 8
	maxPayload = 8 + maxData
	maxData    = 32 << 10 // bytes in a frame
	maxReason  = 512      // bytes of why a stream is reset
	// MaxHeader is the longest header of a stream.
	MaxHeader = 16 << 10
)

var errFrame = errors.New("malformed frame")

// frame is one, read or to be written.
type frame struct {
	kind   byte
	stream uint32
	offset uint64 // frameData, frameFin: where; frameAck: what is received
	limit  uint64 // frameAck, frameOpen: how far the peer may send
	body   []byte // frameData: the bytes; frameOpen: the header; frameReset: the reason
}

// append writes the frame's bytes behind b.
func (f frame) append(b []byte) []byte {
	at := len(b)
	b = appendHead(b, f.kind, f.stream, 0)
	switch f.kind {
	case frameData:
		b = append(binary.BigEndian.AppendUint64(b, f.offset), f.body...)
	case frameFin:
		b = binary.BigEndian.AppendUint64(b, f.offset)
	case frameReset:
		b = append(b, f.body...)
	case frameAck:
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, f.offset), f.limit)
	case frameOpen:
		b = append(binary.BigEndian.AppendUint64(b, f.limit), f.body...)
	}
	n := len(b) - at - headBytes
	b[at+1], b[at+2], b[at+3] = byte(n>>16), byte(n>>8), byte(n)
	return b
}

func appendHead(b []byte, kind byte, stream uint32, n int) []byte {
	return binary.BigEndian.AppendUint32(append(b, kind, byte(n>>16), byte(n>>8), byte(n)), stream)
}

// frameReader reads frames from a carrier.
type frameReader struct {
	r    io.Reader
	head [headBytes]byte
	body [maxPayload]byte
}

// next reads a frame. Its body is good until the next call. The end of the carrier between two frames is io.EOF.
func (r *frameReader) next() (frame, error) {
	for {
		if _, err := io.ReadFull(r.r, r.head[:]); err != nil {
			return frame{}, err
		}
		f := frame{kind: r.head[0], stream: binary.BigEndian.Uint32(r.head[4:])}
		n := int(r.head[1])<<16 | int(r.head[2])<<8 | int(r.head[3])
		if n > maxPayload {
			return frame{}, fmt.Errorf("%w: %d bytes", errFrame, n)
		}
		body := r.body[:n]
		if _, err := io.ReadFull(r.r, body); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return frame{}, err
		}
		if f.kind&frameOptional != 0 {
			continue
		}
		return f, f.parse(body)
	}
}

// parse reads what is behind the head.
func (f *frame) parse(body []byte) error {
	number := func(to *uint64) bool {
		if len(body) < 8 {
			return false
		}
		*to, body = binary.BigEndian.Uint64(body), body[8:]
		return true
	}
	ok := false
	switch f.kind {
	case frameData:
		ok = number(&f.offset) && len(body) > 0
		f.body, body = body, nil
	case frameFin:
		ok = number(&f.offset)
	case frameReset:
		ok = len(body) <= maxReason
		f.body, body = body, nil
	case frameAck:
		ok = number(&f.offset) && number(&f.limit)
	case frameOpen:
		ok = number(&f.limit) && len(body) <= MaxHeader
		f.body, body = body, nil
	}
	if !ok || len(body) > 0 || f.stream == 0 {
		return fmt.Errorf("%w of type %d", errFrame, f.kind)
	}
	return nil
}
