package tunnel

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// maxListeners bounds what Listeners takes from a far side.
const maxListeners = 65536

// Listeners is as in Host. Without /proc it is what lsof, or else netstat, says.
func (h *shellHost) Listeners(ctx context.Context) ([]Listener, error) {
	facts, err := h.Facts(ctx)
	if err != nil {
		return nil, fmt.Errorf("list listeners: %w", err)
	}
	var s script
	res, err := h.runScript(ctx, s.include("identity", "listeners"), maxStdout)
	if err != nil {
		return nil, fmt.Errorf("list listeners: %w", err)
	}
	list, err := parseListeners(string(res.Stdout), byteOrder(facts.Arch))
	if err != nil {
		return nil, fmt.Errorf("list listeners: %w", err)
	}
	return list, nil
}

// byteOrder is that of the far machine: /proc/net/tcp prints addresses as words of the machine (get_tcp4_sock, net/ipv4/tcp_ipv4.c).
func byteOrder(arch string) binary.ByteOrder {
	switch arch {
	case "s390x", "ppc64", "mips", "mips64":
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// parseListeners reads what scripts/listeners.sh prints. Lines of an unknown kind are an error only for /proc, whose form is fixed.
func parseListeners(text string, order binary.ByteOrder) ([]Listener, error) {
	var list []Listener
	byInode := map[string][]int{}
	var lsof Listener
	wide := "0.0.0.0"
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || len(list) >= maxListeners {
			continue
		}
		switch f[0] {
		case "proc":
			if len(f) != 4 {
				return nil, fmt.Errorf("read socket table: %q", cleanText(line, 200))
			}
			addr, err := parseHexAddr(f[1], order)
			if err != nil {
				return nil, fmt.Errorf("read socket table: %w", err)
			}
			uid, err := strconv.Atoi(f[2])
			if err != nil {
				return nil, fmt.Errorf("read socket table: uid %q", cleanText(f[2], 200))
			}
			byInode[f[3]] = append(byInode[f[3]], len(list))
			list = append(list, Listener{Addr: addr.Addr().String(), Port: int(addr.Port()), UID: uid})
		case "pid":
			if len(f) != 3 {
				continue
			}
			if pid, err := strconv.Atoi(f[2]); err == nil && pid > 0 {
				for _, i := range byInode[f[1]] {
					if list[i].PID == 0 {
						list[i].PID = pid // of several heirs the first
					}
				}
			}
		case "lsof":
			value := f[1][1:]
			switch f[1][0] {
			case 'p':
				pid, _ := strconv.Atoi(value)
				lsof = Listener{PID: pid}
			case 'u':
				lsof.UID, _ = strconv.Atoi(value)
			case 't':
				if wide = "0.0.0.0"; value == "IPv6" {
					wide = "::"
				}
			case 'n':
				if l, ok := textListener(value, ":", wide); ok {
					l.PID, l.UID = lsof.PID, lsof.UID
					list = append(list, l)
				}
			}
		case "netstat":
			if len(f) != 3 {
				continue
			}
			if wide = "0.0.0.0"; strings.HasSuffix(f[1], "6") {
				wide = "::"
			}
			sep := "."
			if strings.Contains(f[2], ":") && !strings.Contains(f[2], "%") && strings.LastIndex(f[2], ":") > strings.LastIndex(f[2], ".") {
				sep = ":"
			}
			if l, ok := textListener(f[2], sep, wide); ok {
				l.UID = -1
				list = append(list, l)
			}
		}
	}
	return list, nil
}

// textListener reads "127.0.0.1:80", "[::1]:80", "*:80", and with "." for ":" what BSD's netstat writes.
func textListener(s, sep, wide string) (Listener, bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return Listener{}, false
	}
	host := strings.Trim(s[:i], "[]")
	port, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil {
		return Listener{}, false
	}
	if host == "*" {
		host = wide
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return Listener{}, false
	}
	return Listener{Addr: addr.Unmap().WithZone("").String(), Port: int(port)}, true
}

// parseHexAddr reads an address of /proc/net/tcp or tcp6: 32-bit words in the machine's order, the port in network order. A
// v4-mapped address is given as the v4 address that it is.
func parseHexAddr(s string, order binary.ByteOrder) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if !ok || err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, fmt.Errorf("address %q", cleanText(s, 200))
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port %q", cleanText(port, 200))
	}
	for i := 0; i < len(raw); i += 4 {
		// The text shows the word's value, highest digit first.
		order.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}
