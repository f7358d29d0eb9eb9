package peer

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// The list of net.inet.tcp.pcblist_n: a struct xinpgen, then for each connection a run of records that begin with their length and
// kind, each padded to 8 bytes beyond its length, then another xinpgen. Offsets are those of xinpcb_n (bsd/netinet/in_pcb.h) and
// xsocket_n (bsd/sys/socketvar.h) in XNU, packed to 4 bytes; later systems made the records longer at their ends only.
//
// The parser is not bound to darwin, so that it is tested everywhere.
const (
	kindSocket = 0x001 // XSO_SOCKET
	kindPCB    = 0x010 // XSO_INPCB

	pcbForeignPort = 16 // network order
	pcbLocalPort   = 18
	pcbVersion     = 44 // INP_IPV4 1, INP_IPV6 2
	pcbForeignAddr = 48 // 16 bytes; IPv4 in the last four
	pcbLocalAddr   = 64
	pcbSize        = 80

	soAddress  = 8  // of the socket in the kernel; 0: none any more
	soState    = 26 // 16 bits
	soUID      = 64
	soSize     = 68
	soNoFDRef  = 0x0001 // SS_NOFDREF: no file descriptor refers to it
	versionIP4 = 0x1
)

var (
	errBadList   = errors.New("list of sockets cannot be read")
	errNoPCB     = errors.New("no such socket in the list")
	errPCBClosed = errors.New("socket closed already in the list")
)

// pcbOwner finds the uid of the socket bound to local and connected to remote.
func pcbOwner(list []byte, local, remote netip.AddrPort) (uint32, error) {
	ne := binary.NativeEndian
	match := false
	for at := 0; at+8 <= len(list); {
		size := int(ne.Uint32(list[at:]))
		if size < 8 || size > len(list)-at {
			return 0, errBadList
		}
		record := list[at : at+size]
		at = min(at+(size+7)&^7, len(list))
		if at == (size+7)&^7 { // the xinpgen in front; its second word is a count, not a kind
			continue
		}
		switch kind := ne.Uint32(record[4:]); {
		case kind == kindPCB && size >= pcbSize:
			l := pcbAddr(record, pcbLocalAddr, pcbLocalPort)
			r := pcbAddr(record, pcbForeignAddr, pcbForeignPort)
			match = l == local && r == remote
		case kind == kindSocket && size >= soSize && match:
			if ne.Uint64(record[soAddress:]) == 0 || ne.Uint16(record[soState:])&soNoFDRef != 0 {
				return 0, errPCBClosed
			}
			return ne.Uint32(record[soUID:]), nil
		}
	}
	return 0, errNoPCB
}

func pcbAddr(record []byte, addr, port int) netip.AddrPort {
	b := record[addr : addr+16]
	if record[pcbVersion]&versionIP4 != 0 {
		b = b[12:]
	}
	a, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(record[port:]))
}
