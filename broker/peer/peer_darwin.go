package peer

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// owner returns the uid of the socket that is bound to local and connected to remote.
func owner(local, remote netip.AddrPort) (uint32, error) {
	list, err := unix.SysctlRaw("net.inet.tcp.pcblist_n")
	if err != nil {
		return 0, fmt.Errorf("read list of sockets: %w", err)
	}
	return pcbOwner(list, local, remote)
}
