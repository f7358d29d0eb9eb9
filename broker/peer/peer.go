package peer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
)

// Errors of SameUser.
var (
	// ErrOtherUser says that the connection comes from a user who is neither us nor root.
	ErrOtherUser = errors.New("connection from another user")
	// ErrUnknown says that the owner of the connection could not be found. A peer that has closed its end has none any more.
	ErrUnknown = errors.New("owner of the connection is unknown")
)

// SameUser returns nil if the other end of a loopback TCP connection belongs to this process's effective user or to root.
// Otherwise, and whenever that cannot be told, it returns an error that wraps ErrOtherUser or ErrUnknown.
func SameUser(conn net.Conn) error {
	local, remote, err := ends(conn)
	if err != nil {
		return err
	}
	uid, err := owner(remote, local)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return allow(uid, os.Geteuid())
}

// allow decides: ours or root's.
func allow(uid uint32, euid int) error {
	if uid == 0 || int64(uid) == int64(euid) {
		return nil
	}
	return fmt.Errorf("%w (uid %d)", ErrOtherUser, uid)
}

// ends returns our address of the connection and the peer's, IPv4 never as IPv6.
func ends(conn net.Conn) (local, remote netip.AddrPort, err error) {
	l, ok1 := conn.LocalAddr().(*net.TCPAddr)
	r, ok2 := conn.RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return local, remote, fmt.Errorf("%w: not a TCP connection", ErrUnknown)
	}
	local, remote = unmap(l.AddrPort()), unmap(r.AddrPort())
	if !local.Addr().IsLoopback() || !remote.Addr().IsLoopback() {
		return local, remote, fmt.Errorf("%w: not on loopback", ErrUnknown)
	}
	return local, remote, nil
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
