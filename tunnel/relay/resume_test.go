package relay

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// short is a connection that is cut, both ways, when the bytes that both ends write have used up what it may carry.
type short struct {
	net.Conn
	left *atomic.Int64
	cut  func()
}

func (s *short) Write(p []byte) (n int, err error) {
	after := s.left.Add(-int64(len(p)))
	if after >= 0 {
		return s.Conn.Write(p)
	}
	if fits := int64(len(p)) + after; fits > 0 {
		n, _ = s.Conn.Write(p[:fits])
	}
	s.cut()
	return n, errors.New("cut")
}

// shortPair carries n bytes, in both directions together.
func shortPair(n int64) (a, b net.Conn) {
	a, b = net.Pipe()
	var left atomic.Int64
	left.Store(n)
	cut := func() { a.Close(); b.Close() }
	return &short{a, &left, cut}, &short{b, &left, cut}
}

// until carries over one connection after the other, each of which carries as much as size says, until done. It returns how many there were.
func (e *ends) until(done <-chan struct{}, size func() int64) (carriers int) {
	for {
		a, b := shortPair(size())
		over := make(chan struct{})
		cut := e.carry(a, b)
		carriers++
		go func() { // ends when both sides have seen the cut
			e.waitGone()
			close(over)
		}()
		select {
		case <-over:
			cut()
		case <-done:
			cut()
			<-over
			return carriers
		}
	}
}

// waitGone waits until neither side has a carrier.
func (e *ends) waitGone() {
	for _, m := range []*Mux{e.client, e.server} {
		for {
			m.mu.Lock()
			c := m.carrier
			m.mu.Unlock()
			if c == nil {
				break
			}
			<-c.gone
		}
	}
}

// Cut after every byte of an exchange: question and answer with ends of file on two streams, of which one is reset. Nothing is lost or doubled.
func TestCutAfterEveryByte(t *testing.T) {
	question, answer := noise(700), noise(900)
	for n := int64(0); ; n++ {
		e := newEnds(t)
		whole := make(chan struct{})
		cuts := make(chan int, 1)
		first := true
		go func() {
			cuts <- e.until(whole, func() int64 {
				if first {
					first = false
					return n
				}
				return 1 << 40
			})
		}()
		near, err := e.client.Open([]byte("exchange"))
		if err != nil {
			t.Fatal(err)
		}
		doomed, err := e.client.Open([]byte("doomed"))
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		all.Go(func() {
			_, _ = near.Write(question)
			_ = near.CloseWrite()
		})
		far, farDoomed := e.accept(), e.accept()
		within(t, near, far, doomed, farDoomed)
		if string(far.Header()) != "exchange" || string(farDoomed.Header()) != "doomed" {
			t.Fatalf("cut after %d bytes: streams %q and %q", n, far.Header(), farDoomed.Header())
		}
		all.Go(func() {
			if got, err := io.ReadAll(far); err != nil || !bytes.Equal(got, question) {
				t.Errorf("cut after %d bytes: the question has %d bytes, %v", n, len(got), err)
			}
			farDoomed.Reset("doomed")
			_, _ = far.Write(answer)
			_ = far.Close()
		})
		if got, err := io.ReadAll(near); err != nil || !bytes.Equal(got, answer) {
			t.Errorf("cut after %d bytes: the answer has %d bytes, %v", n, len(got), err)
		}
		var reset *ResetError
		if _, err := doomed.Read(make([]byte, 1)); !errors.As(err, &reset) || reset.Reason != "doomed" {
			t.Errorf("cut after %d bytes: the other stream: %v", n, err)
		}
		all.Wait()
		idle(t, e.client)
		idle(t, e.server)
		close(whole)
		if <-cuts == 1 || t.Failed() {
			if n < int64(len(question)+len(answer)) {
				t.Fatalf("no cut after %d bytes", n)
			}
			return
		}
	}
}

// Cut at random places, several streams both ways at once.
func TestCutAnywhere(t *testing.T) {
	e := newEnds(t)
	data := noise(1 << 20)
	done := make(chan struct{})
	carriers := make(chan int, 1)
	go func() {
		carriers <- e.until(done, func() int64 { return rand.Int64N(40_000) })
	}()
	var all sync.WaitGroup
	for range 3 {
		near, err := e.client.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		far := e.accept()
		within(t, near, far)
		all.Go(func() { echo(t, near, far, data) })
	}
	all.Wait()
	idle(t, e.client)
	idle(t, e.server)
	close(done)
	if n := <-carriers; n < 100 {
		t.Errorf("%d carriers only", n)
	}
}

// A new carrier takes the place of one that still lives, as after a black hole.
func TestTakesTheCarriersPlace(t *testing.T) {
	e := newEnds(t)
	near, err := e.client.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	e.connect()
	far := e.accept()
	within(t, near, far)
	done := make(chan struct{})
	go func() {
		defer close(done)
		echo(t, near, far, noise(3<<20))
	}()
	for range 20 {
		e.connect()
	}
	<-done
	idle(t, e.client)
}

// A side that does not know a stream, or knows other bytes of it, ends that stream alone, by name.
func TestDesync(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(s *Stream) // the server's, before the next carrier
		want  string
	}{
		{"forgotten", func(s *Stream) { delete(s.m.streams, s.id) }, "forgotten"},
		{"fewer bytes than before", func(s *Stream) { s.in = queue{base: 1} }, "had 5 before"},
		{"more bytes than were sent", func(s *Stream) { s.in = queue{base: 7} }, "5 were sent"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEnds(t)
			cut := e.connect()
			near, far := e.stream("spoilt")
			other, otherFar := e.stream("other")
			within(t, near, far, other, otherFar)
			if _, err := io.WriteString(near, "hello"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(far, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			awaitAcked(t, near, 5)
			cut()
			e.server.mu.Lock()
			test.spoil(far)
			e.server.mu.Unlock()
			e.connect()
			if _, err := near.Read(make([]byte, 1)); !errors.Is(err, ErrDesync) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Read = %v", err)
			}
			go func() { _, _ = io.WriteString(other, "fine"); _ = other.CloseWrite() }()
			if got, err := io.ReadAll(otherFar); err != nil || string(got) != "fine" {
				t.Errorf("the other stream: %q, %v", got, err)
			}
		})
	}
}
