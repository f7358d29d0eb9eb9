package sshconfig

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// matchPattern tells whether * and ? of a pattern make it text (match.c, match_pattern). It takes time in proportion to the two lengths.
func matchPattern(text, pattern string) bool {
	star, mark := -1, 0 // the last * and the place in text that it is tried at
	i, j := 0, 0
	for i < len(text) {
		switch {
		case j < len(pattern) && pattern[j] == '*':
			star, mark = j, i
			j++
		case j < len(pattern) && (pattern[j] == '?' || pattern[j] == text[i]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[j:], "*") == ""
}

// maxSubpattern is the length from which on ssh gives a list up (match.c, match_pattern_list).
const maxSubpattern = 1023

// matchList tells whether one pattern of a list with commas matches and none with a ! before it.
func matchList(text, list string) bool {
	found := false
	for pattern := range strings.SplitSeq(list, ",") {
		pattern, negated := strings.CutPrefix(pattern, "!")
		if len(pattern) >= maxSubpattern {
			return false
		}
		if matchPattern(text, pattern) {
			if negated {
				return false
			}
			found = true
		}
	}
	return found
}

// matchHostList is matchList for host names, whose case does not count.
func matchHostList(host, list string) bool { return matchList(lower(host), lower(list)) }

// lower is for ASCII alone, as in ssh: all else are bytes to it.
func lower(text string) string {
	bytes := []byte(text)
	for i, c := range bytes {
		if 'A' <= c && c <= 'Z' {
			bytes[i] = c + 'a' - 'A'
		}
	}
	return string(bytes)
}

// matchNetworks tells whether an address of this machine is in one of the networks of a list with commas. It is an error where an entry is
// none (addrmatch.c, addr_match_cidr_list).
func matchNetworks(list string, addresses []netip.Addr) (bool, error) {
	found := false
	for text := range strings.SplitSeq(list, ",") {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				return false, err
			}
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		found = found || slices.ContainsFunc(addresses, network.Contains)
	}
	return found, nil
}

// localAddresses are the addresses of this machine's interfaces that are up.
func localAddresses() ([]netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var list []netip.Addr
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it has just gone
		}
		for _, a := range addrs {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				list = append(list, prefix.Addr().WithZone(""))
			}
		}
	}
	return list, nil
}
