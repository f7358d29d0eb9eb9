package proxy

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// prompt makes a TCP connection acknowledge at once and send at once. Peers that write a message's header and body in two wait, by
// Nagle's algorithm, for the header's acknowledgement, which the kernel delays by 40 ms. The kernel forgets TCP_QUICKACK, so that it is
// set again after each read.
func prompt(c net.Conn) net.Conn {
	tc, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	_ = tc.SetNoDelay(true)
	raw, err := tc.SyscallConn()
	if err != nil {
		return c
	}
	return &promptConn{tc, raw}
}

type promptConn struct {
	*net.TCPConn
	raw syscall.RawConn
}

func (c *promptConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if n > 0 {
		_ = c.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	}
	return n, err
}
