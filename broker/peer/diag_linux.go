package peer

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The layout of linux/inet_diag.h: struct inet_diag_sockid, inet_diag_req_v2 and inet_diag_msg, of which x/sys has none. Addresses
// and ports are in network order, the rest in the machine's.
type sockID struct {
	sport, dport [2]byte
	src, dst     [16]byte
	ifindex      uint32
	cookie       [2]uint32
}

type diagRequest struct {
	family, protocol, ext, pad uint8
	states                     uint32
	id                         sockID
}

type diagMessage struct {
	family, state, timer, retrans uint8
	id                            sockID
	expires, rqueue, wqueue       uint32
	uid, inode                    uint32
}

const (
	noCookie   = ^uint32(0) // INET_DIAG_NOCOOKIE
	diagWait   = 2          // seconds; the kernel answers at once
	requestLen = unix.SizeofNlMsghdr + int(unsafe.Sizeof(diagRequest{}))
)

// diagOwner asks the kernel for one socket by its two addresses (sock_diag(7)). An IPv4 question finds v4-mapped sockets of IPv6
// too, since the kernel keeps both in one table.
func diagOwner(local, remote netip.AddrPort) (uint32, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, fmt.Errorf("open sock_diag: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: diagWait}); err != nil {
		return 0, fmt.Errorf("bound sock_diag: %w", err)
	}
	if err := unix.Sendto(fd, question(local, remote), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("ask sock_diag: %w", err)
	}
	buf := make([]byte, 8192)
	n, from, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return 0, fmt.Errorf("read sock_diag: %w", err)
	}
	if sa, ok := from.(*unix.SockaddrNetlink); !ok || sa.Pid != 0 { // another process may send to our netlink port
		return 0, fmt.Errorf("read sock_diag: an answer that is not the kernel's")
	}
	return answer(buf[:n], local, remote)
}

func question(local, remote netip.AddrPort) []byte {
	req := diagRequest{family: unix.AF_INET6, protocol: unix.IPPROTO_TCP, states: ^uint32(0), id: id(local, remote)}
	if local.Addr().Is4() {
		req.family = unix.AF_INET
	}
	b := make([]byte, requestLen)
	binary.NativeEndian.PutUint32(b[0:], uint32(requestLen))
	binary.NativeEndian.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint32(b[8:], 1)
	*(*diagRequest)(unsafe.Pointer(&b[unix.SizeofNlMsghdr])) = req
	return b
}

func id(local, remote netip.AddrPort) sockID {
	s := sockID{cookie: [2]uint32{noCookie, noCookie}}
	binary.BigEndian.PutUint16(s.sport[:], local.Port())
	binary.BigEndian.PutUint16(s.dport[:], remote.Port())
	copy(s.src[:], local.Addr().AsSlice())
	copy(s.dst[:], remote.Addr().AsSlice())
	return s
}

func answer(b []byte, local, remote netip.AddrPort) (uint32, error) {
	if len(b) < unix.SizeofNlMsghdr {
		return 0, fmt.Errorf("read sock_diag: short answer")
	}
	body := b[unix.SizeofNlMsghdr:]
	switch binary.NativeEndian.Uint16(b[4:]) {
	case unix.NLMSG_ERROR:
		if len(body) < 4 {
			return 0, fmt.Errorf("read sock_diag: short error")
		}
		errno := unix.Errno(-int32(binary.NativeEndian.Uint32(body)))
		if errno == unix.ENOENT {
			return 0, errNotFound
		}
		return 0, fmt.Errorf("ask sock_diag: %w", errno)
	case unix.SOCK_DIAG_BY_FAMILY:
	default:
		return 0, fmt.Errorf("read sock_diag: unexpected answer")
	}
	if len(body) < int(unsafe.Sizeof(diagMessage{})) {
		return 0, fmt.Errorf("read sock_diag: short answer")
	}
	m := *(*diagMessage)(unsafe.Pointer(&body[0]))
	want := id(local, remote)
	if m.id.sport != want.sport || m.id.dport != want.dport {
		return 0, errNotFound // the lookup falls back to a listener on the port
	}
	if m.inode == 0 {
		return 0, errClosed
	}
	return m.uid, nil
}
