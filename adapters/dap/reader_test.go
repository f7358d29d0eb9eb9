package dap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReaderPassesBytes(t *testing.T) {
	messages := []string{
		"Content-Length: 2\r\n\r\n{}",
		"content-length:3\r\nX-Extra: a: b\r\n\r\n{ }",
		"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nCONTENT-LENGTH:   0011  \r\n\r\n{\"a\":\"\xc3\xa9\"} ",
		"Content-Length: 0\r\n\r\n",
		"Content-Length: 2\n\nxx",
		"Content-Length: 9\r\n\r\nnot json!",
		"Content-Length: 200000\r\n\r\n" + strings.Repeat("y", 200000),
	}
	stream := strings.Join(messages, "")
	for name, src := range map[string]io.Reader{
		"whole":       strings.NewReader(stream),
		"byte a read": iotest.OneByteReader(strings.NewReader(stream)),
		"data + EOF":  iotest.DataErrReader(strings.NewReader(stream)),
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(src, MaxBody)
			for i, want := range messages {
				m, err := r.Next()
				if err != nil {
					t.Fatalf("message %d: %v", i, err)
				}
				if string(m.Raw) != want {
					t.Fatalf("message %d: got %.80q, want %.80q", i, m.Raw, want)
				}
			}
			if _, err := r.Next(); err != io.EOF {
				t.Fatalf("at the end: got %v, want io.EOF", err)
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	tests := []struct {
		name, in string
		want     error
	}{
		{"POST", "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", ErrHTTP},
		{"GET without end", "GET /json", ErrHTTP},
		{"OPTIONS", "OPTIONS * HTTP/1.1\r\n", ErrHTTP},
		{"CONNECT begins like us", "CONNECT evil.com:80 HTTP/1.1\r\n\r\n", ErrHTTP},
		{"PRI of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ErrHTTP},
		{"long CONNECT", "CONNECT /" + strings.Repeat("a", 40000), ErrHTTP},
		{"another header first", "Cookie: a\r\nContent-Length: 2\r\n\r\n{}", ErrMalformed},
		{"TLS", "\x16\x03\x01\x02", ErrMalformed},
		{"garbage", "\xff\xfe\r\n\r\n", ErrMalformed},
		{"empty line", "\r\n\r\n", ErrMalformed},
		{"no colon", "Content-Length 2\r\n\r\n{}", ErrMalformed},
		{"blank in name", "Content-Length : 2\r\n\r\n{}", ErrMalformed},
		{"no length", "Content-Type: a\r\n\r\n{}", ErrMalformed},
		{"two lengths", "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", ErrMalformed},
		{"empty length", "Content-Length:\r\n\r\n", ErrMalformed},
		{"negative", "Content-Length: -1\r\n\r\n", ErrMalformed},
		{"plus", "Content-Length: +1\r\n\r\n{", ErrMalformed},
		{"hex", "Content-Length: 0x10\r\n\r\n", ErrMalformed},
		{"10 GB", "Content-Length: 10000000000\r\n\r\n", ErrTooLarge},
		{"overflow", "Content-Length: 99999999999999999999999999\r\n\r\n", ErrTooLarge},
		{"one over", fmt.Sprintf("Content-Length: %d\r\n\r\n", MaxBody+1), ErrTooLarge},
		{"endless header", "Content-Length: " + strings.Repeat("1", 40000), ErrTooLarge},
		{"many headers", "Content-Length: 2\r\n" + strings.Repeat("a: b\r\n", 4000), ErrTooLarge},
		{"half a header", "Content-Len", io.ErrUnexpectedEOF},
		{"half a body", "Content-Length: 10\r\n\r\n{}", io.ErrUnexpectedEOF},
		{"nothing", "", io.EOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewReader(strings.NewReader(tt.in), MaxBody).Next()
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// A peer that speaks another protocol and then waits must be told apart by what it sent, without waiting for a line's end.
func TestReaderRefusesAtTheFirstByte(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	go pw.Write([]byte("G"))
	if _, err := NewReader(pr, MaxBody).Next(); !errors.Is(err, ErrMalformed) {
		t.Fatalf("got %v, want ErrMalformed", err)
	}
}

func TestReaderAllocatesAsBytesArrive(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	_, err := NewReader(strings.NewReader("Content-Length: 209715200\r\n\r\n{\"a\":1"), MaxBody).Next()
	runtime.ReadMemStats(&after)
	if err != io.ErrUnexpectedEOF {
		t.Fatalf("got %v, want io.ErrUnexpectedEOF", err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Fatalf("allocated %d bytes for 6 that arrived", got)
	}
}

func TestReaderLimit(t *testing.T) {
	r := NewReader(strings.NewReader("Content-Length: 2\r\n\r\n{}Content-Length: 11\r\n\r\n{         }"), 10)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("got %v, want ErrTooLarge", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("Content-Length: 2\r\n\r\n{}content-length:0\nX: y\n\n"))
	f.Add([]byte("Content-Length: 200000000\r\n\r\n{}"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in), MaxBody)
		var read []byte
		for {
			m, err := r.Next()
			if err != nil {
				if err == io.EOF && !bytes.Equal(read, in) {
					t.Fatalf("a clean end, but read %q of %q", read, in)
				}
				break
			}
			read = append(read, m.Raw...)
			_, _ = Scan(m.Body())
		}
		if !bytes.HasPrefix(in, read) {
			t.Fatalf("read %q, which %q does not begin with", read, in)
		}
		if cap(r.buf) > 4*len(in)+2*firstRead {
			t.Fatalf("a buffer of %d bytes for %d", cap(r.buf), len(in))
		}
	})
}
