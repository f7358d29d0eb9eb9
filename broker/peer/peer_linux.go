package peer

import (
	"errors"
	"net/netip"
)

var (
	errNotFound = errors.New("no such socket")
	errClosed   = errors.New("socket closed already")
)

// owner returns the uid of the socket that is bound to local and connected to remote.
func owner(local, remote netip.AddrPort) (uint32, error) {
	uid, err := diagOwner(local, remote)
	if err == nil || errors.Is(err, errClosed) {
		return uid, err
	}
	// Not allowed here, not in this kernel, or not found: the tables tell, slower on a machine with many connections.
	return procOwner("/proc/net", local, remote)
}
