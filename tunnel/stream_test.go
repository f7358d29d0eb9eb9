package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/freeport"
)

func TestDialThrough(t *testing.T) {
	_, hop := testBox(t)
	l := dialLink(t, hop)
	sock := filepath.Join(shortDir(t), "s")
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			address := map[string]string{"tcp": "127.0.0.1:0", "unix": sock}[network]
			far, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer far.Close()
			near, err := l.dial(t.Context(), network, far.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer near.Close()
			peer, err := far.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			checkStream(t, near, peer)
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		_, err := l.dial(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", freeport.On127(t)))
		if !errors.Is(err, ErrFarDial) || errors.Is(err, ErrUnreachable) {
			t.Errorf("dial = %v, want ErrFarDial", err)
		}
		if _, err := l.dial(t.Context(), "unix", "/no/such/socket"); !errors.Is(err, ErrFarDial) {
			t.Errorf("dial = %v, want ErrFarDial", err)
		}
	})
	t.Run("no such network", func(t *testing.T) {
		if _, err := l.dial(t.Context(), "udp", "127.0.0.1:1"); err == nil {
			t.Error("dialled udp")
		}
	})
}

// checkStream holds a stream against what a net.Conn does.
func checkStream(t *testing.T, near, peer net.Conn) {
	t.Helper()
	sent := make([]byte, 300<<10)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = peer.Write(sent) })
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(near, got); err != nil || string(got) != string(sent) {
		t.Fatalf("read: %v, or other bytes", err)
	}
	wg.Wait()

	_ = near.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := near.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read past its deadline = %v", err)
	}
	_ = near.SetReadDeadline(time.Time{})
	interrupted := make(chan error, 1)
	wg.Go(func() { _, err := near.Read(make([]byte, 1)); interrupted <- err })
	_ = near.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if err := <-interrupted; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("interrupted read = %v", err)
	}
	wg.Wait()
	_ = near.SetDeadline(time.Now().Add(time.Minute))
	wg.Go(func() { _, _ = near.Write(sent) })
	if _, err := io.ReadFull(peer, got); err != nil || string(got) != string(sent) {
		t.Fatalf("write with a deadline: %v, or other bytes", err)
	}
	wg.Wait()

	if err := near.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := peer.Read(got); n != 0 || err != io.EOF {
		t.Errorf("after CloseWrite the peer reads %d, %v", n, err)
	}
	if _, err := peer.Write([]byte("still here")); err != nil {
		t.Fatal(err)
	}
	_ = peer.Close()
	if rest, err := io.ReadAll(near); err != nil || string(rest) != "still here" {
		t.Errorf("rest = %q, %v", rest, err)
	}
	_ = near.Close()
	if _, err := near.Read(got); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after Close = %v", err)
	}
	if _, err := near.Write(got); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after Close = %v", err)
	}
}

// A write that nobody reads ends at its deadline, and the stream with it.
func TestWriteDeadline(t *testing.T) {
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
	_ = near.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := near.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write = %v", err)
	}
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read = %v", err)
	}
	if out, _ := runCommand(t, l, "echo well"); out != "well\n" {
		t.Errorf("the link is not well: %q", out)
	}
}

func TestForwardingForbidden(t *testing.T) {
	_, hop := testBox(t, "AllowTcpForwarding no", "AllowStreamLocalForwarding no")
	l := dialLink(t, hop)
	_, err := l.dial(t.Context(), "tcp", "127.0.0.1:22")
	if !errors.Is(err, ErrForbidden) {
		t.Errorf("tcp: %v, want ErrForbidden", err)
	}
	checkWords(t, err, "prohibited", "AllowTcpForwarding")
	// sshd does not tell a socket that is forbidden from one that is not there.
	_, err = l.dial(t.Context(), "unix", "/tmp/x")
	if !errors.Is(err, ErrForbidden) && !errors.Is(err, ErrFarDial) {
		t.Errorf("unix: %v", err)
	}
	checkWords(t, err, "", "AllowStreamLocalForwarding")
}
