package relay

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/nettest"
)

// A stream is a net.Conn as the standard library has them, from either side.
func TestConn(t *testing.T) {
	for _, name := range []string{"opened", "accepted"} {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				e := newEnds(t)
				cut := e.connect()
				near, far := e.stream("x")
				stop := func() { near.Close(); far.Close(); cut() }
				if name == "accepted" {
					return far, near, stop, nil
				}
				return near, far, stop, nil
			})
		})
	}
}

// Half-close: the end of file goes one way, bytes go on the other, and in the end nothing is left of the stream.
func TestHalfClose(t *testing.T) {
	e := newEnds(t)
	e.connect()
	near, far := e.stream("what for")
	within(t, near, far)
	if string(far.Header()) != "what for" {
		t.Errorf("header %q", far.Header())
	}
	if _, err := io.WriteString(near, "question"); err != nil {
		t.Fatal(err)
	}
	if err := near.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(near, "more"); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Write after CloseWrite = %v", err)
	}
	if got, err := io.ReadAll(far); string(got) != "question" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	answer := bytes.Repeat([]byte("answer"), 500_000) // more than a window
	var writing sync.WaitGroup
	writing.Go(func() {
		if _, err := far.Write(answer); err != nil {
			t.Error(err)
		}
		_ = far.Close()
	})
	if got, err := io.ReadAll(near); !bytes.Equal(got, answer) || err != nil {
		t.Errorf("%d bytes of %d, %v", len(got), len(answer), err)
	}
	writing.Wait()
	idle(t, e.client)
	idle(t, e.server)
}

// Who does not read holds up his own stream, within a window each side, and no other.
func TestBackPressure(t *testing.T) {
	e := newEnds(t)
	e.connect()
	stuck, unread := e.stream("stuck")
	near, far := e.stream("brisk")
	within(t, near, far)
	var writing sync.WaitGroup
	defer writing.Wait()
	defer stuck.Reset("enough")
	writing.Go(func() {
		n, _ := stuck.Write(make([]byte, 10*window))
		if n > 2*window {
			t.Errorf("took %d bytes that nobody reads", n)
		}
	})
	for i := range 100 {
		if _, err := near.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		if _, err := io.ReadFull(far, b[:]); err != nil || b[0] != byte(i) {
			t.Fatalf("%v, %v", b, err)
		}
	}
	e.server.mu.Lock()
	if unread.in.n > window {
		t.Errorf("%d bytes are held", unread.in.n)
	}
	e.server.mu.Unlock()
}

func TestReset(t *testing.T) {
	e := newEnds(t)
	e.connect()
	near, far := e.stream("x")
	within(t, near, far)
	if _, err := io.WriteString(far, "before"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 6)
	if _, err := io.ReadFull(near, b[:3]); err != nil {
		t.Fatal(err)
	}
	far.Reset("out of order: " + strings.Repeat("x", 1000))
	for {
		_, err := io.WriteString(near, "x")
		if err == nil {
			continue
		}
		var reset *ResetError
		if !errors.As(err, &reset) || !strings.HasPrefix(reset.Reason, "out of order: xx") || len(reset.Reason) != maxReason {
			t.Errorf("Write = %v", err)
		}
		break
	}
	if got, err := io.ReadAll(near); string(got) != "ore" || err == nil {
		t.Errorf("then %q, %v: want what came before the reset, and the reset", got, err)
	}
	if _, err := far.Read(b); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after Reset = %v", err)
	}
	idle(t, e.client)
	idle(t, e.server)
}

// Close lets what was written arrive. Then the other side, which goes on sending, is told that nobody reads.
func TestCloseWhileTheOtherSends(t *testing.T) {
	e := newEnds(t)
	e.connect()
	near, far := e.stream("x")
	within(t, near, far)
	last := bytes.Repeat([]byte("last words"), 10_000)
	if _, err := near.Write(last); err != nil {
		t.Fatal(err)
	}
	near.Close()
	if got, err := io.ReadAll(far); !bytes.Equal(got, last) || err != nil {
		t.Errorf("%d bytes of %d, %v", len(got), len(last), err)
	}
	for {
		if _, err := far.Write(make([]byte, 10_000)); err != nil {
			var reset *ResetError
			if !errors.As(err, &reset) {
				t.Errorf("Write = %v", err)
			}
			break
		}
	}
	idle(t, e.client)
	idle(t, e.server)
}

func TestTooManyStreams(t *testing.T) {
	e := newEnds(t)
	e.connect()
	for range 16 {
		if _, err := e.server.Open(nil); err != nil {
			t.Fatal(err)
		}
	}
	s, err := e.server.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	within(t, s)
	var reset *ResetError
	if _, err := s.Read(make([]byte, 1)); !errors.As(err, &reset) || reset.Reason != ErrTooMany.Error() {
		t.Errorf("Read = %v", err)
	}
	if _, err := e.client.Open(make([]byte, MaxHeader+1)); err == nil {
		t.Error("a header that is too long is taken")
	}
}

// A stream that is reset before the other side could hear of it is never heard of.
func TestResetBeforeACarrier(t *testing.T) {
	e := newEnds(t)
	s, err := e.client.Open([]byte("never"))
	if err != nil {
		t.Fatal(err)
	}
	s.Reset("not needed")
	idle(t, e.client)
	e.connect()
	if _, far := e.stream("next"); string(far.Header()) != "next" {
		t.Errorf("the server gets %q", far.Header())
	}
}

// echo sends data through and reads it back.
func echo(t testing.TB, near, far *Stream, data []byte) {
	t.Helper()
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := io.Copy(far, far); err != nil {
			t.Errorf("echo: %v", err)
		}
		_ = far.CloseWrite()
	})
	all.Go(func() {
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+rand.IntN(20_000))
			if _, err := near.Write(rest[:n]); err != nil {
				t.Errorf("write: %v", err)
				break
			}
			rest = rest[n:]
		}
		_ = near.CloseWrite()
	})
	got, err := io.ReadAll(near)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes of %d, %v", len(got), len(data), err)
	}
	all.Wait()
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}
