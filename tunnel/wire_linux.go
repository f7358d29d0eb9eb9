package tunnel

import (
	"net"

	"golang.org/x/sys/unix"
)

// quickAck returns a function that sets TCP_QUICKACK (tcp(7): not permanent, it has to be set again) on a socket.
func quickAck(tcp *net.TCPConn) func() {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	set := func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) }
	return func() { _ = raw.Control(set) }
}
