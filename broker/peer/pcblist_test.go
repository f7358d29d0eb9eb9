package peer

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
)

// pcbList writes a list as XNU does: a header, then for each connection xinpcb_n, xsocket_n and an xtcpcb_n whose length is no
// multiple of 8.
func pcbList(conns ...pcb) []byte {
	ne := binary.NativeEndian
	head := make([]byte, 24)
	ne.PutUint32(head, 24)
	ne.PutUint32(head[4:], kindSocket) // a count that looks like a kind
	list := head
	for _, c := range conns {
		in := record(104, kindPCB)
		binary.BigEndian.PutUint16(in[pcbLocalPort:], c.local.Port())
		binary.BigEndian.PutUint16(in[pcbForeignPort:], c.remote.Port())
		in[pcbVersion] = 2
		if c.local.Addr().Is4() {
			in[pcbVersion] = 1
			copy(in[pcbLocalAddr+12:], c.local.Addr().AsSlice())
			copy(in[pcbForeignAddr+12:], c.remote.Addr().AsSlice())
		} else {
			copy(in[pcbLocalAddr:], c.local.Addr().AsSlice())
			copy(in[pcbForeignAddr:], c.remote.Addr().AsSlice())
		}
		so := record(104, kindSocket)
		if !c.gone {
			ne.PutUint64(so[soAddress:], 0xffffff8012345678)
		}
		ne.PutUint16(so[soState:], c.state)
		for i := 28; i+4 <= len(so); i += 4 {
			ne.PutUint32(so[i:], 90000+uint32(i)) // a wrong offset reads none of our uids
		}
		ne.PutUint32(so[soUID:], c.uid)
		tcp := record(204, 0x20)
		list = append(append(append(list, in...), so...), append(tcp, 0, 0, 0, 0)...)
	}
	return append(list, head...)
}

type pcb struct {
	local, remote netip.AddrPort
	uid           uint32
	state         uint16
	gone          bool
}

func record(size int, kind uint32) []byte {
	b := make([]byte, size)
	binary.NativeEndian.PutUint32(b, uint32(size))
	binary.NativeEndian.PutUint32(b[4:], kind)
	return b
}

func TestPCBOwner(t *testing.T) {
	ap := netip.MustParseAddrPort
	list := pcbList(
		pcb{local: ap("127.0.0.1:5000"), remote: ap("127.0.0.1:6000"), uid: 501},
		pcb{local: ap("127.0.0.1:6000"), remote: ap("127.0.0.1:5000"), uid: 502},
		pcb{local: ap("127.0.0.1:5001"), remote: ap("127.0.0.1:6000"), gone: true},
		pcb{local: ap("127.0.0.1:5002"), remote: ap("127.0.0.1:6000"), uid: 0, state: soNoFDRef},
		pcb{local: ap("[::1]:5000"), remote: ap("[::1]:6000"), uid: 504},
		pcb{local: ap("[::ffff:127.0.0.1]:5005"), remote: ap("[::ffff:127.0.0.1]:6000"), uid: 505},
	)
	tests := []struct {
		local, remote string
		uid           uint32
		err           error
	}{
		{"127.0.0.1:5000", "127.0.0.1:6000", 501, nil},
		{"127.0.0.1:6000", "127.0.0.1:5000", 502, nil},
		{"127.0.0.1:5001", "127.0.0.1:6000", 0, errPCBClosed},
		{"127.0.0.1:5002", "127.0.0.1:6000", 0, errPCBClosed},
		{"[::1]:5000", "[::1]:6000", 504, nil},
		{"127.0.0.1:5005", "127.0.0.1:6000", 505, nil},
		{"127.0.0.1:5009", "127.0.0.1:6000", 0, errNoPCB},
	}
	for _, tt := range tests {
		uid, err := pcbOwner(list, ap(tt.local), ap(tt.remote))
		if uid != tt.uid || !errors.Is(err, tt.err) {
			t.Errorf("%s -> %s: got %d, %v, want %d, %v", tt.local, tt.remote, uid, err, tt.uid, tt.err)
		}
	}
	if _, err := pcbOwner(list[:len(list)-30], ap("127.0.0.1:1"), ap("127.0.0.1:2")); !errors.Is(err, errBadList) {
		t.Errorf("a list that breaks off: got %v, want errBadList", err)
	}
}

func FuzzPCBOwner(f *testing.F) {
	a, b := netip.MustParseAddrPort("127.0.0.1:5000"), netip.MustParseAddrPort("127.0.0.1:6000")
	f.Add(pcbList(pcb{local: a, remote: b, uid: 501}))
	f.Fuzz(func(_ *testing.T, list []byte) { _, _ = pcbOwner(list, a, b) })
}
