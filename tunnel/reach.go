package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// maxAddresses bounds how many addresses of one name are given a ConnectTimeout each.
const maxAddresses = 8

// reach makes the byte stream that SSH will run over. Its errors wrap ErrHostUnresolvable or ErrUnreachable.
func (a *attempt) reach(ctx context.Context, hop *Hop, via *Conn, timeout time.Duration) (net.Conn, error) {
	switch {
	case via != nil:
		return reachThrough(ctx, hop, via, timeout)
	case hop.ProxyCommand != "":
		return a.proxyCommand(ctx, hop)
	}
	locals, err := localAddresses(ctx, hop, timeout)
	if err != nil {
		return nil, err
	}
	for _, local := range locals {
		var nc net.Conn
		if nc, err = reachDirectly(ctx, hop, local, timeout); err == nil {
			return nc, nil
		}
	}
	return nil, err
}

func reachThrough(ctx context.Context, hop *Hop, via *Conn, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	nc, err := via.Dial(ctx, "tcp", hop.addr())
	switch {
	case err == nil:
		return nc, nil
	case errors.Is(err, ErrFarDial):
		return nil, hinted(classified(ErrUnreachable, err), fmt.Sprintf("%s cannot reach it: is the name right as seen from there, and is it up?", via.hop.name()))
	case errors.Is(err, ErrForbidden):
		return nil, classified(ErrUnreachable, err)
	default:
		return nil, classifyDial(hop, err)
	}
}

// reachDirectly tries the addresses of the host, each for as long as timeout, from local, which may be nil.
func reachDirectly(ctx context.Context, hop *Hop, local net.Addr, timeout time.Duration) (net.Conn, error) {
	addresses, err := lookUp(ctx, hop, hop.HostName, timeout)
	if err != nil {
		return nil, classifyDial(hop, err)
	}
	// The dialer shares its time among the addresses that it tries.
	ctx, cancel := context.WithTimeout(ctx, timeout*time.Duration(min(max(len(addresses), 1), maxAddresses)))
	defer cancel()
	dialer := net.Dialer{KeepAlive: -1, LocalAddr: local} // Ping watches better
	nc, err := dialer.DialContext(ctx, "tcp"+hop.family(), hop.addr())
	if errors.Is(err, syscall.EADDRNOTAVAIL) && local != nil {
		return nil, hinted(classified(ErrUnreachable, fmt.Errorf("dial %s from %s: %w", hop.addr(), local, bare(err))),
			"the ssh configuration has a BindAddress or BindInterface for "+hop.name()+": is that an address of this machine now?")
	}
	var address *net.AddrError
	if errors.As(err, &address) {
		return nil, hinted(classified(ErrUnreachable, fmt.Errorf("dial %s: %w", hop.addr(), bare(err))),
			"AddressFamily or BindAddress of "+hop.name()+" in the ssh configuration leave none of its addresses")
	}
	if err != nil {
		return nil, classifyDial(hop, err)
	}
	return nc, nil
}

// family is what follows "tcp" or "ip" in the name of a network for AddressFamily.
func (h *Hop) family() string {
	switch h.AddressFamily {
	case "inet":
		return "4"
	case "inet6":
		return "6"
	}
	return ""
}

// lookUp finds the addresses of a name.
func lookUp(ctx context.Context, hop *Hop, name string, timeout time.Duration) ([]netip.Addr, error) {
	if address, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{address}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return net.DefaultResolver.LookupNetIP(ctx, "ip"+hop.family(), name)
}

// localAddresses are the addresses of this machine to connect from, in the order to try; one that is nil is any.
func localAddresses(ctx context.Context, hop *Hop, timeout time.Duration) ([]net.Addr, error) {
	var from []netip.Addr
	var err error
	switch {
	case hop.BindAddress != "":
		from, err = lookUp(ctx, hop, hop.BindAddress, timeout)
	case hop.BindInterface != "":
		from, err = interfaceAddresses(hop.BindInterface, hop.AddressFamily)
	default:
		return []net.Addr{nil}, nil
	}
	if err == nil && len(from) == 0 {
		err = errors.New("no address that would do")
	}
	if err != nil {
		return nil, hinted(classified(ErrUnreachable, fmt.Errorf("find the local address %s%s to connect to %s from: %w", hop.BindAddress, hop.BindInterface, hop.addr(), bare(err))),
			"the ssh configuration has a BindAddress or BindInterface for "+hop.name()+": is it there now?")
	}
	var list []net.Addr
	for _, a := range from {
		list = append(list, &net.TCPAddr{IP: a.Unmap().AsSlice(), Zone: a.Zone()})
	}
	return list, nil
}

// interfaceAddresses are the addresses of an interface that is up; those that lead no further than its own network come last (sshconnect.c,
// check_ifaddrs), and of a family one is enough.
func interfaceAddresses(name, family string) ([]netip.Addr, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	if link.Flags&net.FlagUp == 0 {
		return nil, errors.New("the interface is down")
	}
	all, err := link.Addrs()
	if err != nil {
		return nil, err
	}
	var list []netip.Addr
	for _, one := range all {
		prefix, err := netip.ParsePrefix(one.String())
		if err != nil {
			continue
		}
		address := prefix.Addr().Unmap()
		if address.IsLinkLocalUnicast() && address.Is6() {
			address = address.WithZone(name)
		}
		if family == "inet" && !address.Is4() || family == "inet6" && address.Is4() {
			continue
		}
		list = append(list, address)
	}
	near := func(a netip.Addr) bool { return a.IsLoopback() || a.Is6() && a.IsLinkLocalUnicast() }
	slices.SortStableFunc(list, func(a, b netip.Addr) int {
		switch {
		case near(a) == near(b):
			return 0
		case near(b):
			return -1
		}
		return 1
	})
	var chosen []netip.Addr
	for _, a := range list {
		if !slices.ContainsFunc(chosen, func(c netip.Addr) bool { return c.Is4() == a.Is4() }) {
			chosen = append(chosen, a)
		}
	}
	return chosen, nil
}
