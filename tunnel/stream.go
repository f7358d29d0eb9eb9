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

// stream is a forwarded connection as a net.Conn. Reads have deadlines like any other. A write deadline counts for writes that
// begin after it was set, and its expiry closes the stream, since part of the data may be gone. CloseWrite sends end of file
// and leaves the other direction open. After the loss of the SSH connection reads and writes fail with ErrLinkLost.
//
// Nothing of an ssh.Channel can be interrupted: one goroutine reads for all (feed) from the first Read on, each write and half-close has one
// of its own, and another answers channel requests. Those that the server leaves hanging end with the connection. Who carries much takes the
// channel itself (half).
type stream struct {
	conn    *Conn
	channel ssh.Channel
	far     farAddr
	in      *feed
	feeding sync.Once     // starts in
	gone    chan struct{} // closed once the server has closed both directions, or the connection is lost

	writeMu sync.Mutex // x/crypto allows one writer at a time; guards out
	out     []byte     // what is being written: a write that was given up goes on, and the caller's bytes are the caller's

	readBy, writeBy deadline

	closeOnce sync.Once
	closed    chan struct{}
}

func newStream(c *Conn, channel ssh.Channel, requests <-chan *ssh.Request, network, address string) *stream {
	s := &stream{
		conn: c, channel: channel, far: farAddr{network, address}, in: newFeed(), gone: make(chan struct{}), closed: make(chan struct{}),
	}
	if !c.group.spawn(func() { ssh.DiscardRequests(requests); close(s.gone) }) {
		close(s.gone)
	}
	return s
}

// feed has a goroutine read for Read.
func (s *stream) feed() {
	if !s.conn.group.spawn(func() {
		s.in.pump(s.channel, s.closed, func(err error) error { return s.translate(err, io.EOF) })
	}) {
		s.in.fail(s.conn.lossOr(ErrLinkLost))
	}
}

// half hands the channel over to splice: no Read or Write may follow. What Read has not yet given out comes first.
func (s *stream) half() farHalf {
	h := farHalf{r: s, w: s.channel, closeWrite: s.channel.CloseWrite, run: s.conn.group.spawn, translate: s.translate, gone: s.gone}
	s.feeding.Do(func() {
		s.in.fail(net.ErrClosed)
		h.r = s.channel // nobody has read yet, so nobody need wait for the feed
	})
	return h
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
	s.feeding.Do(s.feed)
	n, err := s.in.read(p, s.closed, s.readBy.expired())
	if errors.Is(err, os.ErrClosed) {
		err = net.ErrClosed
	}
	return n, err
}

// Write ends with the stream's Close, though the server may never take what is on its way.
func (s *stream) Write(p []byte) (n int, err error) {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if isClosed(s.closed) {
		return 0, net.ErrClosed
	}
	expired := s.writeBy.expired()
	for first := true; first || len(p) > 0; first = false {
		s.out = append(s.out[:0], p[:min(len(p), outChunk)]...)
		p = p[len(s.out):]
		m, err := s.do(expired, func() (int, error) { return s.channel.Write(s.out) })
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// do runs what cannot be interrupted, and leaves it behind when the stream is closed or expired, which then closes it. mu is held:
// nobody else uses out before the stream is closed, and nobody at all afterwards.
func (s *stream) do(expired <-chan struct{}, f func() (int, error)) (int, error) {
	select {
	case <-expired:
		_ = s.Close()
		return 0, os.ErrDeadlineExceeded
	default:
	}
	type result struct {
		n   int
		err error
	}
	results := make(chan result, 1)
	if !s.conn.group.spawn(func() {
		n, err := f()
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
	_, err := s.do(nil, func() (int, error) { return 0, s.channel.CloseWrite() })
	if errors.Is(err, io.ErrClosedPipe) {
		return nil // the server has closed already
	}
	return err
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
