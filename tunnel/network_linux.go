package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// openNetworkNews opens a netlink socket on which the kernel tells of addresses and routes that come and go (rtnetlink(7)).
func openNetworkNews() (io.ReadCloser, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	groups := uint32(unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("bind a netlink socket: %w", err)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil // non-blocking: Close ends a Read
}

// lostNews tells whether an error says that there was more news than the socket holds (netlink(7)), which is news.
func lostNews(err error) bool { return errors.Is(err, unix.ENOBUFS) }

// defaultRoutes describes the default routes of all tables: gateway, interface and metric.
func defaultRoutes() []string {
	rib, err := syscall.NetlinkRIB(unix.RTM_GETROUTE, unix.AF_UNSPEC)
	if err != nil {
		return nil
	}
	messages, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil
	}
	var all []string
	for _, m := range messages {
		// struct rtmsg of rtnetlink(7): family, length of the destination, …; the type is its eighth byte.
		if m.Header.Type != unix.RTM_NEWROUTE || len(m.Data) < unix.SizeofRtMsg || m.Data[1] != 0 || m.Data[7] != unix.RTN_UNICAST {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			continue
		}
		route := "default " + strconv.Itoa(int(m.Data[0]))
		for _, a := range attrs {
			switch a.Attr.Type {
			case unix.RTA_GATEWAY:
				if ip, ok := netip.AddrFromSlice(a.Value); ok {
					route += " via " + ip.String()
				}
			case unix.RTA_OIF, unix.RTA_PRIORITY:
				route += fmt.Sprintf(" %d:%x", a.Attr.Type, a.Value)
			}
		}
		all = append(all, route)
	}
	return all
}

// newClockLead compares the clock that stands still in sleep with the one that does not (clock_gettime(2)), and with the wall clock: a virtual
// machine that was paused with its host only sees that one jump.
func newClockLead() func() []time.Duration {
	return func() []time.Duration {
		awake := clock(unix.CLOCK_MONOTONIC)
		return []time.Duration{clock(unix.CLOCK_BOOTTIME) - awake, clock(unix.CLOCK_REALTIME) - awake}
	}
}

func clock(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0 // not with a clock that every Linux has
	}
	return time.Duration(ts.Nano())
}
