package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// A stream that carries little has a small buffer; one that fills it gets one of the size of an SSH packet.
	smallChunk = 4 << 10
	largeChunk = 32 << 10
	writeChunk = 256 << 10 // of one write at a time
)

// stream is a forwarded connection as a net.Conn. Reads have deadlines like any other. A write deadline counts for writes that
// begin after it was set, and its expiry closes the stream, since part of the data may be gone. CloseWrite sends end of file
// and leaves the other direction open. After the loss of the SSH connection reads and writes fail with ErrLinkLost.
//
// ssh.Channel.Read cannot be interrupted, so one goroutine reads for all; another answers channel requests. Each write has one of
// its own for the same reason.
type stream struct {
	conn    *Conn
	channel ssh.Channel
	far     farAddr

	chunks   chan []byte   // from the reading goroutine
	consumed chan struct{} // back to it: the chunk may be overwritten
	ended    chan struct{} // closed by it after readErr is set
	readErr  error

	readMu sync.Mutex // guards rest
	rest   []byte

	writeMu sync.Mutex // x/crypto allows one writer at a time; guards copied
	copied  []byte

	readBy, writeBy deadline

	closeOnce sync.Once
	closed    chan struct{}
}

func newStream(c *Conn, channel ssh.Channel, requests <-chan *ssh.Request, network, address string) *stream {
	s := &stream{
		conn: c, channel: channel, far: farAddr{network, address},
		chunks: make(chan []byte), consumed: make(chan struct{}), ended: make(chan struct{}),
		closed: make(chan struct{}),
	}
	c.group.spawn(func() { ssh.DiscardRequests(requests) })
	if !c.group.spawn(s.pump) {
		s.readErr = c.lossOr(ErrLinkLost)
		close(s.ended)
	}
	return s
}

func (s *stream) pump() {
	buf := make([]byte, smallChunk)
	for {
		n, err := s.channel.Read(buf)
		if n > 0 {
			select {
			case s.chunks <- buf[:n]:
			case <-s.closed:
				return
			}
			select {
			case <-s.consumed:
			case <-s.closed:
				return
			}
		}
		if err != nil {
			s.readErr = s.translate(err, io.EOF)
			close(s.ended)
			return
		}
		if n == len(buf) && n < largeChunk {
			buf = make([]byte, largeChunk)
		}
	}
}

// translate turns x/crypto's io.EOF, which stands for an ended stream, a closed one and a lost connection alike, into what
// it is.
func (s *stream) translate(err, atEnd error) error {
	switch {
	case err == nil:
		return nil
	case isClosed(s.closed):
		return net.ErrClosed
	case s.conn.lost():
		return s.conn.lossOr(ErrLinkLost)
	case errors.Is(err, io.EOF):
		return atEnd
	default:
		return err
	}
}

func (s *stream) Read(p []byte) (int, error) {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	expired := s.readBy.expired()
	select {
	case <-s.closed:
		return 0, net.ErrClosed
	case <-expired:
		return 0, os.ErrDeadlineExceeded
	default:
	}
	if len(p) == 0 {
		return 0, nil
	}
	if len(s.rest) == 0 {
		select {
		case s.rest = <-s.chunks:
		case <-s.ended:
			return 0, s.readErr
		case <-s.closed:
			return 0, net.ErrClosed
		case <-expired:
			return 0, os.ErrDeadlineExceeded
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	if len(s.rest) == 0 {
		select {
		case s.consumed <- struct{}{}:
		case <-s.closed: // the pump may be gone
		}
	}
	return n, nil
}

// Write returns when the data has left, and at once when the stream is closed: a far side that takes nothing, and does not answer our
// close either, must not hold whoever writes.
func (s *stream) Write(p []byte) (written int, err error) {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	for {
		n, err := s.writePart(p[:min(len(p), writeChunk)])
		written += n
		if p = p[n:]; err != nil || len(p) == 0 {
			return written, err
		}
	}
}

// writePart writes a copy of p, since ssh.Channel.Write cannot be interrupted: one that is given up goes on until the stream is gone.
func (s *stream) writePart(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	expired := s.writeBy.expired()
	select {
	case <-s.closed:
		return 0, net.ErrClosed
	case <-expired:
		_ = s.Close()
		return 0, os.ErrDeadlineExceeded
	default:
	}
	results := make(chan result, 1)
	s.copied = append(s.copied[:0], p...) // the write before has ended, or the stream is closed
	if !s.conn.group.spawn(func() {
		n, err := s.channel.Write(s.copied)
		results <- result{n, err}
	}) {
		return 0, s.conn.lossOr(ErrLinkLost)
	}
	select {
	case r := <-results:
		return r.n, s.translate(r.err, io.ErrClosedPipe)
	case <-expired:
		_ = s.Close()
		return 0, os.ErrDeadlineExceeded
	case <-s.closed:
		return 0, net.ErrClosed
	}
}

// CloseWrite tells the far side that no more comes; it may still send.
func (s *stream) CloseWrite() error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if isClosed(s.closed) {
		return net.ErrClosed
	}
	return s.translate(s.channel.CloseWrite(), nil)
}

// Close ends both directions. It does not wait for the far side, nor for a socket that takes no more.
func (s *stream) Close() error {
	s.closeOnce.Do(func() {
		close(s.closed)
		s.conn.group.spawn(func() { _ = s.channel.Close() }) // false: the connection is gone, and the channel with it
	})
	return nil
}

func (s *stream) LocalAddr() net.Addr  { return s.conn.wire.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr { return s.far }

func (s *stream) SetDeadline(t time.Time) error {
	s.readBy.set(t)
	s.writeBy.set(t)
	return nil
}
func (s *stream) SetReadDeadline(t time.Time) error  { s.readBy.set(t); return nil }
func (s *stream) SetWriteDeadline(t time.Time) error { s.writeBy.set(t); return nil }

// farAddr is an address as the far side sees it.
type farAddr struct{ network, address string }

func (a farAddr) Network() string { return a.network }
func (a farAddr) String() string  { return a.address }

var _ interface {
	net.Conn
	CloseWrite() error
	fmt.Stringer
} = (*stream)(nil)

func (s *stream) String() string {
	return s.far.network + " " + s.far.address + " at " + s.conn.hop.name()
}
