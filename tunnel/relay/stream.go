package relay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// ResetError says that the other side has ended a stream in both directions, and why.
type ResetError struct{ Reason string }

func (e *ResetError) Error() string { return "reset by the other side: " + e.Reason }

// Stream is a connection through a Mux: a net.Conn with half-close. It outlives carriers: without one Read waits for the next, and Write
// until a window is full.
type Stream struct {
	m      *Mux
	id     uint32
	header []byte

	// Guarded by m.mu.
	moved   sync.Cond // anything that Read or Write may wait for
	err     error     // why both directions have ended
	closed  bool      // by us
	known   bool      // the other side has the stream
	openDue bool

	out      queue  // written, and not known to have arrived
	sent     uint64 // written to this carrier: up to here
	limit    uint64 // the other side lets us send up to here
	fin      bool   // nothing follows what is in out
	finSent  bool
	finAcked bool

	in      queue  // arrived, and not read
	inFin   bool   // nothing follows what is in in
	acked   uint64 // what we told the other side has arrived
	granted uint64 // what we let the other side send up to
	ackLazy bool   // what has arrived since is to be told in a while

	saying, sending bool // it is in m.control; in m.fresh or m.bulk

	readBy, writeBy alarm
}

func newStream(m *Mux, id uint32, header []byte) *Stream {
	s := &Stream{m: m, id: id, header: header, granted: window}
	s.moved.L = &m.mu
	return s
}

// alarm is a deadline, which wakes who waits.
type alarm struct {
	at    time.Time
	timer *time.Timer
}

func (a *alarm) expired() bool { return !a.at.IsZero() && !time.Now().Before(a.at) }

// Header is what the side that opened the stream says it is for.
func (s *Stream) Header() []byte { return s.header }

// arrived is how far the other side's bytes are here; its end of file counts as one.
func (s *Stream) arrived() uint64 {
	if s.inFin {
		return s.in.end() + 1
	}
	return s.in.end()
}

// sendable tells whether there are bytes, or an end of file, that may be sent now.
func (s *Stream) sendable() bool {
	return s.err == nil && (s.sent < min(s.out.end(), s.limit) || s.fin && !s.finSent && s.sent == s.out.end())
}

// Read waits for bytes. At the other side's end of file it is io.EOF; after a reset, and all that came before, a *ResetError.
func (s *Stream) Read(p []byte) (int, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	for {
		switch {
		case s.closed:
			return 0, net.ErrClosed
		case s.readBy.expired():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case s.in.n > 0:
			n := s.in.pull(p)
			s.grant()
			return n, nil
		case s.inFin && s.m.err == nil:
			return 0, io.EOF // all of it was here, whatever came later
		case s.err != nil:
			return 0, s.err
		}
		s.moved.Wait()
	}
}

// grant lets the other side send more once it is worth a frame.
func (s *Stream) grant() {
	if s.err == nil && !s.inFin && s.in.base+window-s.granted >= window/2 {
		s.m.say(s)
	}
}

// Write returns once all bytes are taken. They may be sent later, and over another carrier.
func (s *Stream) Write(p []byte) (n int, err error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	for {
		switch {
		case s.closed:
			return n, net.ErrClosed
		case s.err != nil:
			return n, s.err
		case s.fin:
			return n, io.ErrClosedPipe
		case s.writeBy.expired():
			return n, os.ErrDeadlineExceeded
		case len(p) == 0:
			return n, nil
		}
		if room := window - s.out.n; room > 0 {
			k := min(len(p), room)
			s.out.push(p[:k])
			p, n = p[k:], n+k
			s.m.send(s)
			continue
		}
		s.moved.Wait()
	}
}

// CloseWrite lets the other side read an end of file after all that was written. Reading goes on.
func (s *Stream) CloseWrite() error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	switch {
	case s.closed:
		return net.ErrClosed
	case s.err != nil:
		return s.err
	}
	s.fin = true
	s.m.send(s)
	return nil
}

// Close ends reading, and writing after what was written, which still arrives. If the other side then goes on sending, the stream is reset.
func (s *Stream) Close() error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed, s.fin = true, true
	s.in.drop(s.in.n)
	s.grant()
	s.moved.Broadcast()
	s.m.send(s)
	s.settle()
	return nil
}

// Reset ends both directions at once. The other side is told why, in at most 512 bytes.
func (s *Stream) Reset(reason string) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.closed = true
	s.abort(reason, net.ErrClosed)
}

// abort resets the stream for a reason of ours. mu is held.
func (s *Stream) abort(reason string, err error) {
	if s.err != nil || s.m.streams[s.id] != s {
		s.moved.Broadcast()
		return
	}
	s.fail(err)
	s.m.bury(s, reason)
}

// fail ends both directions here. mu is held.
func (s *Stream) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	s.out = queue{}
	s.moved.Broadcast()
}

// settle forgets the stream once both directions have ended, or only the other side's is left and nobody reads it. mu is held.
func (s *Stream) settle() {
	switch {
	case s.err != nil || !s.finAcked:
	case s.inFin:
		s.m.remove(s)
	case s.closed:
		s.abort("nobody reads it any more", net.ErrClosed)
	}
}

// SetDeadline is net.Conn's.
func (s *Stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// SetReadDeadline is net.Conn's.
func (s *Stream) SetReadDeadline(t time.Time) error { return s.setAlarm(&s.readBy, t) }

// SetWriteDeadline is net.Conn's. A Write that it ends has been taken in part.
func (s *Stream) SetWriteDeadline(t time.Time) error { return s.setAlarm(&s.writeBy, t) }

func (s *Stream) setAlarm(a *alarm, t time.Time) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	a.at = t
	if a.timer != nil {
		a.timer.Stop()
	}
	if d := time.Until(t); !t.IsZero() && d > 0 {
		a.timer = time.AfterFunc(d, func() {
			s.m.mu.Lock()
			defer s.m.mu.Unlock()
			s.moved.Broadcast()
		})
	}
	s.moved.Broadcast()
	return nil
}

// LocalAddr is a name only.
func (s *Stream) LocalAddr() net.Addr { return addr(s.id) }

// RemoteAddr is a name only.
func (s *Stream) RemoteAddr() net.Addr { return addr(s.id) }

type addr uint32

func (addr) Network() string  { return "relay" }
func (a addr) String() string { return fmt.Sprintf("stream %d", uint32(a)) }
