package tunnel

import (
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
