package tunnel

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// networkNow describes the network as far as connections depend on it: the addresses of this machine and its default routes. It is "" where
// there is no address but those that reach this machine or its next neighbours. Other routes are left out: machines that run containers
// make and forget them all the time.
func networkNow() string {
	interfaces, err := net.Interfaces()
	if err != nil {
		return ""
	}
	var all []string
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it has gone
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
				all = append(all, i.Name+" "+p.String())
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	all = append(all, defaultRoutes()...)
	slices.Sort(all)
	return strings.Join(all, "\n")
}
