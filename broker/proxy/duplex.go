package proxy

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// duplex runs both directions of an attached connection until both have ended, and closes both sides. up forwards from the front end in
// the caller's goroutine; down forwards from the server in one of its own. parting, which may be nil, runs when the front end has gone
// and the server is still there. duplex returns who ended it, or up's reason if up refused something.
func (c *client) duplex(far net.Conn, up, down func() error, parting func(downDone <-chan struct{})) (ending string) {
	front := c.front
	downDone := make(chan struct{})
	var serverFirst, frontFirst atomic.Bool
	go func() {
		defer close(downDone)
		func() {
			defer c.survive()
			_ = down()
		}()
		serverFirst.Store(!frontFirst.Load())
		far.Close() // up may be writing to it
		closeWrite(front)
		_ = front.SetReadDeadline(time.Now().Add(lingerTime))
	}()
	err := up()
	frontFirst.Store(true)
	if parting != nil && !serverFirst.Load() {
		parting(downDone)
	}
	closeWrite(far)
	t := time.NewTimer(hangUpTime)
	select {
	case <-downDone:
	case <-t.C:
		far.Close()
		_ = front.SetWriteDeadline(time.Now())
		<-downDone
	}
	t.Stop()
	linger(front)
	var r refusal
	switch {
	case errors.As(err, &r):
		return endRefused + ": " + r.Error()
	case serverFirst.Load():
		return endServer
	default:
		return endFront
	}
}

// refusal is an error of what a front end sent, not of its connection.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// linger ends our side and gives the peer a moment to read it: closing with unread bytes in hand would make the kernel throw away
// what the peer has not read yet.
func linger(c net.Conn) {
	closeWrite(c)
	_ = c.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.Copy(io.Discard, io.LimitReader(c, maxPacket))
	_ = c.Close()
}

// closeWrite ends our side of a connection, or all of it where that cannot be done.
func closeWrite(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
		return
	}
	_ = c.Close()
}

// forward writes what it reads as it comes, until either side ends.
func forward(dst io.Writer, src io.Reader) error {
	buf := make([]byte, copyBuffer)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, werr := dst.Write(buf[:n]); werr != nil {
				return werr
			}
		}
		if err != nil {
			return err
		}
	}
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
