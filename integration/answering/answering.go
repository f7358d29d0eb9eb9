// Package answering has small servers, TCP and unix, for the other end of what tests connect. A test says what is done with a connection; the
// rest is here: each has a goroutine, and when the test ends nobody is let in any more, what is open is closed, and all goroutines are waited for.
package answering

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Server is a listener and its connections.
type Server struct {
	listener net.Listener
	running  sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]struct{} // nil once it is closed
}

// Serve listens, and has answer called for each connection, which is closed when answer returns. Most give it Echo.
func Serve(t testing.TB, network, address string, answer func(net.Conn)) *Server {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return On(t, l, answer)
}

// Local is Serve on a free port of 127.0.0.1.
func Local(t testing.TB, answer func(net.Conn)) *Server {
	t.Helper()
	return Serve(t, "tcp4", "127.0.0.1:0", answer)
}

// On is Serve with a listener that is there already, one of another network for instance. It is closed with the Server.
func On(t testing.TB, l net.Listener, answer func(net.Conn)) *Server {
	s := &Server{listener: l, open: make(map[net.Conn]struct{})}
	s.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.running.Go(func() {
				defer c.Close()
				if s.enter(c) {
					defer s.leave(c)
					answer(c)
				}
			})
		}
	})
	t.Cleanup(s.Close)
	return s
}

// Echo sends back what comes, to its end.
func Echo(c net.Conn) { _, _ = io.Copy(c, c) }

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Port is its port, of a TCP server.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// Close ends it before the test does.
func (s *Server) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	open := s.open
	s.open = nil
	s.mu.Unlock()
	for c := range open {
		_ = c.Close()
	}
	s.running.Wait()
}

// enter counts a connection in. It returns false where the Server is closed.
func (s *Server) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		return false
	}
	s.open[c] = struct{}{}
	return true
}

func (s *Server) leave(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}
