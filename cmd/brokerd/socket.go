package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/debugbroker/debugbroker/broker/api"
)

// listen makes the control socket. We hold the lock, so a socket that is there already is a dead daemon's; anything else is
// somebody's file and stays.
func listen(path string) (net.Listener, error) {
	switch fi, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("look at the socket's place: %w", err)
	case fi.Mode()&fs.ModeSocket == 0:
		return nil, &api.Error{Code: api.CodeDaemon, Message: path + " is there and is no socket", Hint: "give another path: --socket, or BROKER_SOCKET"}
	default:
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove a dead daemon's socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("make the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("make the control socket private: %w", err)
	}
	return l, nil
}
