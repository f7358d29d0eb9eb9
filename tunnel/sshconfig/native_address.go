package sshconfig

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// canonicalAddress is an address as ssh goes on with it, in its usual form (ssh.c, resolve_addr); false where the host is a name.
func canonicalAddress(host string) (string, bool) {
	if addr, err := netip.ParseAddr(unbracket(host)); err == nil {
		return addr.String(), true
	}
	if addr, ok := shortAddress(host); ok {
		return addr.String(), true
	}
	return "", false
}

// shortAddress reads what C's inet_aton takes for an IPv4 address beside the usual: 127.1, 0x7f000001, 017.0.0.1.
func shortAddress(text string) (netip.Addr, bool) {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		number, ok := cNumber(part)
		limit := uint64(0xff)
		if i == len(parts)-1 { // the last one fills what is left
			limit = 1<<(8*(5-len(parts))) - 1
			value = value<<(8*(5-len(parts))) + number
		} else {
			value = value<<8 + number
		}
		if !ok || number > limit {
			return netip.Addr{}, false
		}
	}
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(value)))), true
}

// cNumber reads a number as C's strtoul with base 0.
func cNumber(text string) (uint64, bool) {
	base := 10
	if hex, ok := strings.CutPrefix(lower(text), "0x"); ok {
		text, base = hex, 16
	} else if len(text) > 1 && text[0] == '0' {
		base = 8
	}
	number, err := strconv.ParseUint(text, base, 32)
	return number, err == nil
}
