package dap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	// MaxHeader bounds a message's header in bytes, the empty line included.
	MaxHeader = 8 << 10
	// MaxBody bounds a message's body in bytes.
	MaxBody = 256 << 20

	// firstRead is what is allocated on a header's word alone; the rest follows the bytes.
	firstRead = 64 << 10
	// keepBuffer is the largest buffer that a Reader keeps for the next message.
	keepBuffer = 1 << 20
)

// Errors of a Reader. After one of them the stream has no message boundaries any more.
var (
	// ErrHTTP says that the peer speaks HTTP: a browser.
	ErrHTTP = errors.New("an HTTP request, not DAP")
	// ErrMalformed says that the bytes are no DAP header.
	ErrMalformed = errors.New("not a DAP message")
	// ErrTooLarge says that a header or body is over its bound.
	ErrTooLarge = errors.New("DAP message too large")
)

// Message is one message as it stood on the wire.
type Message struct {
	Raw  []byte // header and body
	body int    // where the body begins
}

// Body is the JSON text.
func (m Message) Body() []byte { return m.Raw[m.body:] }

// Reader cuts a stream into messages. It is not safe for concurrent use.
type Reader struct {
	br    *bufio.Reader
	buf   []byte
	max   int
	begun bool // the stream's first header is behind us
}

// NewReader returns a Reader whose messages may have a body of max bytes at most; max is cut to MaxBody.
func NewReader(r io.Reader, max int) *Reader {
	br := &Reader{br: bufio.NewReaderSize(r, 32<<10)}
	br.SetMax(max)
	return br
}

// SetMax sets the bound of the bodies that follow, so that a peer can be given more once it is known.
func (r *Reader) SetMax(max int) { r.max = min(max, MaxBody) }

// Next returns the next message, valid until the call after it. It returns io.EOF at the end of the stream, io.ErrUnexpectedEOF
// for an end inside a message, an error that wraps ErrHTTP, ErrMalformed or ErrTooLarge, or what the stream's Read returned.
func (r *Reader) Next() (Message, error) {
	if cap(r.buf) > keepBuffer {
		r.buf = nil
	}
	if r.buf == nil {
		r.buf = make([]byte, 0, 4<<10)
	}
	r.buf = r.buf[:0]
	if !r.begun {
		if err := r.first(); err != nil {
			return Message{}, err
		}
	}
	length, err := r.header()
	if err != nil {
		return Message{}, err
	}
	at := len(r.buf)
	if err := r.read(length); err != nil {
		return Message{}, err
	}
	return Message{Raw: r.buf, body: at}, nil
}

// first looks at the stream's first byte. Both headers that DAP knows begin with a C, so anything else need not be waited for: what
// has come with it tells whether it is a browser.
func (r *Reader) first() error {
	b, err := r.br.Peek(1)
	if err != nil {
		return err
	}
	if b[0]|0x20 == 'c' {
		return nil
	}
	b, _ = r.br.Peek(r.br.Buffered())
	return headerError(b)
}

// header reads up to the empty line and returns the body's length.
func (r *Reader) header() (length int, err error) {
	length = -1
	for {
		start := len(r.buf)
		line, err := r.line()
		if err != nil {
			return 0, err
		}
		if len(line) == 0 {
			if start == 0 {
				return 0, fmt.Errorf("%w: an empty header", ErrMalformed)
			}
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !isToken(name) {
			return 0, headerError(line)
		}
		isLength := bytes.EqualFold(name, []byte("Content-Length"))
		if !r.begun && !isLength && !bytes.EqualFold(name, []byte("Content-Type")) {
			// A stream that does not begin as DAP is somebody else's; a tolerant server would go on to find the DAP
			// message that a web page hid in a request's body.
			return 0, fmt.Errorf("%w: it begins with another header", ErrMalformed)
		}
		r.begun = true
		if !isLength {
			continue
		}
		if length >= 0 {
			return 0, fmt.Errorf("%w: two Content-Length headers", ErrMalformed)
		}
		if length, err = parseLength(bytes.TrimSpace(value)); err != nil {
			return 0, err
		}
		if length > r.max {
			return 0, fmt.Errorf("%w: %d bytes, at most %d are taken", ErrTooLarge, length, r.max)
		}
	}
	if length < 0 {
		return 0, fmt.Errorf("%w: no Content-Length", ErrMalformed)
	}
	return length, nil
}

// line appends a line to buf and returns it without its end.
func (r *Reader) line() ([]byte, error) {
	start := len(r.buf)
	for {
		part, err := r.br.ReadSlice('\n')
		if len(r.buf)+len(part) > MaxHeader {
			if !r.begun && looksHTTP(part) {
				return nil, ErrHTTP
			}
			return nil, fmt.Errorf("%w: header over %d bytes", ErrTooLarge, MaxHeader)
		}
		r.buf = append(r.buf, part...)
		switch {
		case err == nil:
			line := bytes.TrimSuffix(r.buf[start:], []byte("\n"))
			return bytes.TrimSuffix(line, []byte("\r")), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(r.buf) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// read appends n bytes to buf, which grows with what has come.
func (r *Reader) read(n int) error {
	for n > 0 {
		if len(r.buf) == cap(r.buf) {
			grown := make([]byte, len(r.buf), len(r.buf)+min(n, max(firstRead, len(r.buf))))
			copy(grown, r.buf)
			r.buf = grown
		}
		part := r.buf[len(r.buf):min(cap(r.buf), len(r.buf)+n)]
		got, err := io.ReadFull(r.br, part)
		r.buf = r.buf[:len(r.buf)+got]
		n -= got
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parseLength(value []byte) (int, error) {
	if len(value) == 0 {
		return 0, fmt.Errorf("%w: an empty Content-Length", ErrMalformed)
	}
	n := 0
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%w: Content-Length is not a number", ErrMalformed)
		}
		if n > math.MaxInt32/10-1 {
			return 0, fmt.Errorf("%w: Content-Length has no end", ErrTooLarge)
		}
		n = n*10 + int(c-'0')
	}
	return n, nil
}

// isToken tells whether b is a header name (RFC 9110, 5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0:
		default:
			return false
		}
	}
	return len(b) > 0
}

func headerError(line []byte) error {
	if looksHTTP(line) {
		return ErrHTTP
	}
	return fmt.Errorf("%w: a line is not a header", ErrMalformed)
}

// looksHTTP recognises a request line by its method: a word of capitals, a blank, and what looks like a target.
func looksHTTP(b []byte) bool {
	method, rest, ok := bytes.Cut(b, []byte(" "))
	if !ok || len(method) < 3 || len(method) > 16 || len(rest) == 0 {
		return false
	}
	for _, c := range method {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return rest[0] == '/' || rest[0] == '*' || bytes.Contains(line, []byte(" HTTP/"))
}
