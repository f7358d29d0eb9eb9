package tunnel

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
)

// TestWireEndsAsAWhole: nothing more is written once no more can be read.
func TestWireEndsAsAWhole(t *testing.T) {
	near, far := net.Pipe()
	w := newWire(near)
	lost := 0
	w.lost = func() { lost++ }
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || lost != 1 {
		t.Errorf("Read = %v, told %d times", err, lost)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, net.ErrClosed) || !w.broken.Load() {
		t.Errorf("Write = %v, broken %v", err, w.broken.Load())
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// countedConn has all its bytes at once, and counts how often it is read.
type countedConn struct {
	net.Conn
	data  *bytes.Reader
	reads int
}

func (c *countedConn) Read(p []byte) (int, error) { c.reads++; return c.data.Read(p) }

// While much comes, the wire is read in large pieces, whatever is asked for; when little comes again, it holds no large buffer.
func TestWireReadsAhead(t *testing.T) {
	const size = 8*largeBuffer + 5000
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i * 7 >> 3)
	}
	c := &countedConn{data: bytes.NewReader(sent)}
	w := &wire{Conn: c}
	var got []byte
	for i := 0; ; i++ {
		p := make([]byte, []int{4096, 4000}[i%2]) // pieces that leave a small rest of each large one
		n, err := w.Read(p)
		got = append(got, p[:n]...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came, want the %d that were sent", len(got), size)
	}
	if c.reads > size/largeBuffer+4 {
		t.Errorf("the socket was read %d times", c.reads)
	}
	c.data = bytes.NewReader([]byte("little"))
	if n, err := w.Read(make([]byte, 4096)); n != 6 || err != nil || w.ahead != nil {
		t.Errorf("Read = %d, %v, holding a buffer: %v", n, err, w.ahead != nil)
	}
}
