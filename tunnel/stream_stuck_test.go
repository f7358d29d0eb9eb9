package tunnel

import (
	"errors"
	"net"
	"testing"
	"time"
)

// TestCloseFreesAWriter has a debug server that takes nothing: neither sshd nor the network then answers the close of the stream.
func TestCloseFreesAWriter(t *testing.T) {
	_, hop := testBox(t)
	l := dialLink(t, hop)
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := l.dial(t.Context(), "tcp", far.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := far.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	ended := make(chan error, 1)
	moved := make(chan int, 4096)
	go func() {
		for {
			n, err := near.Write(make([]byte, 1<<20))
			moved <- n
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	for full := false; !full; { // sshd's and the kernel's buffers hold some MiB
		select {
		case <-moved:
		case <-time.After(time.Second):
			full = true
		}
	}
	near.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("write: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the write goes on after the stream was closed")
	}
}
