package peer

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// procOwner looks a socket up in dir/tcp and dir/tcp6 (proc_net_tcp in the kernel's documentation). Both are needed: an IPv6 socket
// that talks IPv4 is in tcp6 only.
func procOwner(dir string, local, remote netip.AddrPort) (uint32, error) {
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) && name == "tcp6" { // a kernel without IPv6
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("open socket table: %w", err)
		}
		uid, err := tableOwner(f, local, remote)
		f.Close()
		if !errors.Is(err, errNotFound) {
			return uid, err
		}
	}
	return 0, errNotFound
}

func tableOwner(table io.Reader, local, remote netip.AddrPort) (uint32, error) {
	sc := bufio.NewScanner(table)
	for sc.Scan() {
		// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …
		f := strings.Fields(sc.Text())
		if len(f) < 10 {
			continue
		}
		l, ok1 := parseAddr(f[1])
		r, ok2 := parseAddr(f[2])
		if !ok1 || !ok2 || l != local || r != remote {
			continue
		}
		if f[9] == "0" {
			return 0, errClosed
		}
		uid, err := strconv.ParseUint(f[7], 10, 32)
		if err != nil {
			return 0, fmt.Errorf("read socket table: %w", err)
		}
		return uint32(uid), nil
	}
	if err := sc.Err(); err != nil {
		return 0, fmt.Errorf("read socket table: %w", err)
	}
	return 0, errNotFound
}

// parseAddr reads "0100007F:1F90": words of four bytes in the machine's order, then the port.
func parseAddr(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	p, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, false
	}
	b, err := hex.DecodeString(host)
	if err != nil || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), true
}
