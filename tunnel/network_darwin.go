package tunnel

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// openNetworkNews opens a routing socket, on which the kernel tells of interfaces, addresses and routes that come and go (route(4)).
func openNetworkNews() (io.ReadCloser, error) {
	fd, err := unix.Socket(unix.AF_ROUTE, unix.SOCK_RAW, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("open a routing socket: %w", err)
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil { // Close ends a Read
		_ = unix.Close(fd)
		return nil, fmt.Errorf("set up a routing socket: %w", err)
	}
	return os.NewFile(uintptr(fd), "route"), nil
}

// lostNews tells whether an error says that there was more news than the socket holds.
func lostNews(err error) bool { return errors.Is(err, unix.ENOBUFS) }
