package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ends is a client and a server, and what carries their streams.
type ends struct {
	t              testing.TB
	client, server *Mux
	carrying       sync.WaitGroup
	epoch          uint64 // of the last carrier
}

func newEnds(t testing.TB) *ends {
	t.Helper()
	e := &ends{t: t, client: NewMux(Options{Client: true, Streams: 16}), server: NewMux(Options{Streams: MaxStreams})}
	t.Cleanup(func() {
		e.client.Close(nil)
		e.server.Close(nil)
		e.carrying.Wait()
	})
	return e
}

// carry has a pair of connections carry the streams until one of them is closed, which cut does and waits for.
func (e *ends) carry(a, b net.Conn) (cut func()) {
	var both sync.WaitGroup
	e.epoch++
	epoch := e.epoch
	run := func(m *Mux, c net.Conn) {
		e.carrying.Add(1)
		both.Go(func() {
			defer e.carrying.Done()
			if err := m.Carry(context.Background(), c, epoch); err == nil {
				e.t.Error("Carry ended without an error")
			}
		})
	}
	run(e.client, a)
	run(e.server, b)
	return func() {
		a.Close()
		b.Close()
		both.Wait()
	}
}

// connect carries the streams over loopback TCP.
func (e *ends) connect() (cut func()) {
	e.t.Helper()
	return e.carry(tcpPair(e.t))
}

func tcpPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// stream is both ends of a stream that the client opens.
func (e *ends) stream(header string) (near, far *Stream) {
	e.t.Helper()
	near, err := e.client.Open([]byte(header))
	if err != nil {
		e.t.Fatal(err)
	}
	return near, e.accept()
}

func (e *ends) accept() *Stream {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), patience)
	defer cancel()
	far, err := e.server.Accept(ctx)
	if err != nil {
		e.t.Fatalf("accept: %v", err)
	}
	return far
}

// patience is for what must happen, on a busy machine.
const patience = 30 * time.Second

func within(t testing.TB, streams ...*Stream) {
	t.Helper()
	for _, s := range streams {
		if err := s.SetDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	}
}

// await waits until cond holds, which is asked with m.mu held; left says what is missing.
func await(t testing.TB, m *Mux, cond func() (ok bool, left string)) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		m.mu.Lock()
		ok, left := cond()
		m.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatal(left)
		}
	}
}

// idle waits until a side has nothing of any stream left.
func idle(t testing.TB, m *Mux) {
	t.Helper()
	await(t, m, func() (bool, string) {
		streams, graves := len(m.streams), len(m.graves)
		return streams+graves == 0, fmt.Sprintf("%d streams are left, and %d resets that the other side does not know", streams, graves)
	})
}

// awaitAcked waits until the other side is known to have that many bytes.
func awaitAcked(t testing.TB, s *Stream, n uint64) {
	t.Helper()
	await(t, s.m, func() (bool, string) {
		return s.out.base >= n, fmt.Sprintf("%d bytes are known to have arrived, of %d", s.out.base, n)
	})
}
