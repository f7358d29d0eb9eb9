package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// far is a Server whose streams echo, and what has come of each connection to it.
type far struct {
	*Server
	t    testing.TB
	all  sync.WaitGroup
	gone chan error
}

func newFar(t testing.TB, token Token, instance Instance) *far {
	t.Helper()
	f := &far{t: t, gone: make(chan error, 100)}
	f.Server = NewServer(token, instance, Options{Streams: MaxStreams}, func(m *Mux) {
		f.all.Go(func() {
			for {
				s, err := m.Accept(context.Background())
				if err != nil {
					return
				}
				f.all.Go(func() {
					_, _ = io.Copy(s, s)
					_ = s.Close()
				})
			}
		})
	})
	t.Cleanup(func() { f.Close(); f.all.Wait() })
	return f
}

// dial is a new connection to the server.
func (f *far) dial() net.Conn {
	f.t.Helper()
	a, b := tcpPair(f.t)
	f.all.Go(func() { f.gone <- f.Serve(context.Background(), b) })
	return a
}

// carried runs a client over a new connection. cut ends that and returns what Carry said.
func (f *far) carried(c *Client) (cut func() error) {
	f.t.Helper()
	conn := f.dial()
	ended := make(chan error, 1)
	f.all.Go(func() { ended <- c.Carry(context.Background(), conn) })
	return func() error { conn.Close(); return <-ended }
}

func newNear(t testing.TB, token Token) *Client {
	t.Helper()
	c := NewClient(token, Options{Streams: 8})
	t.Cleanup(func() { c.Close(nil) })
	return c
}

// asks sends a word on a stream and wants it back.
func asks(t testing.TB, s *Stream, word string) {
	t.Helper()
	within(t, s)
	if _, err := io.WriteString(s, word); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(word))
	if _, err := io.ReadFull(s, b); err != nil || string(b) != word {
		t.Fatalf("%q, %v: want %q back", b, err, word)
	}
}

func TestStreamsGoOnOverTheNextConnection(t *testing.T) {
	f, c := newFar(t, Token{1}, Instance{2}), newNear(t, Token{1})
	s, err := c.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"one", "two", "three"} {
		cut := f.carried(c)
		asks(t, s, word)
		if err := cut(); err == nil {
			t.Error("Carry ended without an error")
		}
	}
}

// A first answer that is lost is no restart.
func TestFirstAnswerIsLost(t *testing.T) {
	f, c := newFar(t, Token{1}, Instance{2}), newNear(t, Token{1})
	conn := f.dial()
	c.epoch = 1
	if _, err := conn.Write(hello{oldest: 1, newest: 1, token: Token{1}, instance: c.instance, epoch: 1}.append(nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := readAnswer(conn); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	s, err := c.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	f.carried(c)
	asks(t, s, "still")
}

func TestRefusals(t *testing.T) {
	f := newFar(t, Token{1}, Instance{2})
	c := newNear(t, Token{1})
	f.carried(c)
	s, err := c.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	asks(t, s, "before")
	for _, test := range []struct {
		name string
		h    hello
		want error
	}{
		{"token", hello{oldest: 1, newest: 1, token: Token{9}, instance: c.instance, epoch: 99}, ErrToken},
		{"too new", hello{oldest: Version + 1, newest: Version + 9, token: Token{1}, instance: c.instance, epoch: 99}, ErrVersion},
		{"too old", hello{oldest: 0, newest: 0, token: Token{1}, instance: c.instance, epoch: 99}, ErrVersion},
		{"stale", hello{oldest: 1, newest: 1, token: Token{1}, instance: c.instance, epoch: 1}, ErrStale},
	} {
		conn := f.dial()
		if _, err := conn.Write(test.h.append(nil)); err != nil {
			t.Fatal(err)
		}
		got, err := readAnswer(conn)
		if err == nil {
			err = got.err()
		}
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if test.want == ErrToken && got != (answer{result: answerToken}) {
			t.Errorf("a stranger is told %+v", got)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the connection is not closed: %v", test.name, err)
		}
	}
	asks(t, s, "after")
}

// Who says other words than a relay's is hung up on at once, whichever side it is.
func TestStrangers(t *testing.T) {
	f := newFar(t, Token{1}, Instance{2})
	conn := f.dial()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-f.gone; !errors.Is(err, ErrNotRelay) {
		t.Errorf("Serve = %v", err)
	}
	a, b := tcpPair(t)
	if _, err := io.WriteString(b, "SSH-2.0-OpenSSH_9.2\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := newNear(t, Token{}).Carry(t.Context(), a); !errors.Is(err, ErrNotRelay) || !strings.Contains(err.Error(), "SSH-2.0-") {
		t.Errorf("Carry = %v", err)
	}
}

// A client that waits for the first words gives up when its context ends.
func TestGreetingIsBounded(t *testing.T) {
	a, _ := tcpPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- newNear(t, Token{}).Carry(ctx, a) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Carry = %v", err)
	}
}

// A relay that was started anew has none of the streams, and neither has one that another client took.
func TestStreamsThatAreLost(t *testing.T) {
	for _, name := range []string{"another relay", "another client"} {
		t.Run(name, func(t *testing.T) {
			f, c := newFar(t, Token{1}, Instance{2}), newNear(t, Token{1})
			cut := f.carried(c)
			s, err := c.Open(nil)
			if err != nil {
				t.Fatal(err)
			}
			asks(t, s, "before")
			if name == "another relay" {
				_ = cut()
				f = newFar(t, Token{1}, Instance{3})
			} else {
				other := newNear(t, Token{1})
				f.carried(other)
				o, err := other.Open(nil)
				if err != nil {
					t.Fatal(err)
				}
				asks(t, o, "the other's")
				_ = cut()
			}
			if err := c.Carry(t.Context(), f.dial()); !errors.Is(err, ErrRestarted) {
				t.Errorf("Carry = %v", err)
			}
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, ErrRestarted) {
				t.Errorf("Read = %v", err)
			}
		})
	}
}
