package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// nearChannel is a connection between us and a master, for which it has a channel of its own, as an ssh.Channel.
type nearChannel struct {
	*net.UnixConn
	master   *masterConn
	requests chan *ssh.Request // there never is one; closed when the channel has ended
	hush     sync.Once
	ending   sync.Once // starts the wait for the end, once
}

// nearChannel makes a channel of a connection, which it closes where the master is gone.
func (m *masterConn) nearChannel(c *net.UnixConn) (*nearChannel, error) {
	ch := &nearChannel{UnixConn: c, master: m, requests: make(chan *ssh.Request)}
	if !m.adopt(ch) {
		_ = c.Close()
		return nil, errMasterGone
	}
	return ch, nil
}

// Read tells the end of the stream only where the master, who says so, goes on: the system closes the connections of one that was killed in the same
// way. A connection that the master has closed with bytes of ours unread is over, too.
func (ch *nearChannel) Read(p []byte) (int, error) {
	n, err := ch.UnixConn.Read(p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, net.ErrClosed):
		return n, io.EOF
	case !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET):
		return n, err
	case !ch.master.lives():
		return n, fmt.Errorf("%w: %w", ErrLinkLost, errMasterGone)
	}
	ch.ending.Do(ch.awaitEnd)
	return n, io.EOF
}

// Write fails with io.EOF, as a channel's does, where the other side takes no more.
func (ch *nearChannel) Write(p []byte) (int, error) {
	n, err := ch.UnixConn.Write(p)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) {
		err = io.EOF
	}
	return n, err
}

// CloseWrite passes where the other side has closed all.
func (ch *nearChannel) CloseWrite() error {
	err := ch.UnixConn.CloseWrite()
	if errors.Is(err, syscall.ENOTCONN) {
		return nil
	}
	return err
}

// awaitEnd waits for the master to take no more either.
func (ch *nearChannel) awaitEnd() {
	raw, err := ch.SyscallConn()
	if err != nil || !ch.master.spawn(func() {
		_ = raw.Read(func(fd uintptr) bool { return hungUp(fd) }) // asked again at each event of the socket, until we close it
		ch.end()
	}) {
		ch.end()
	}
}

// hungUp tells whether both directions of a socket are closed.
func hungUp(fd uintptr) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, 0)
	return n > 0 && err == nil && poll[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}

// over tells whether the master has closed the connection, with nothing in it.
func (ch *nearChannel) over() bool {
	raw, err := ch.SyscallConn()
	if err != nil {
		return true
	}
	ended := true
	err = raw.Control(func(fd uintptr) {
		if !hungUp(fd) {
			ended = false
			return
		}
		n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		ended = err != nil || n == 0
	})
	return err != nil || ended
}

func (ch *nearChannel) end() { ch.hush.Do(func() { close(ch.requests) }) }

func (ch *nearChannel) Close() error {
	err := ch.UnixConn.Close()
	ch.master.drop(ch)
	ch.end()
	if errors.Is(err, net.ErrClosed) {
		return io.EOF
	}
	return err
}

// SendRequest is there for ssh.Channel: a forwarded connection has no requests.
func (ch *nearChannel) SendRequest(string, bool, []byte) (bool, error) { return false, nil }

// Stderr is there for ssh.Channel.
func (ch *nearChannel) Stderr() io.ReadWriter { return new(bytes.Buffer) }
