//go:build !linux

package proxy

import "net"

// prompt makes a TCP connection send at once. Other systems than Linux have no way to acknowledge at once.
func prompt(c net.Conn) net.Conn {
	if tc, ok := c.(*net.TCPConn); ok {
		_ = tc.SetNoDelay(true)
	}
	return c
}
