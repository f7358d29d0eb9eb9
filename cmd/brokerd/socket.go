package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// answerTime is more than enough for a connection to a socket of this machine.
const answerTime = time.Second

// listen makes the control socket. We hold the lock of our state directory, so a socket there is a dead daemon's. One elsewhere may
// be another daemon's, or an agent's: where somebody answers it stays, as does what is no socket.
func listen(path string) (net.Listener, error) {
	switch fi, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("look at the socket's place: %w", err)
	case fi.Mode()&fs.ModeSocket == 0:
		return nil, &api.Error{Code: api.CodeDaemon, Message: path + " is there and is no socket", Hint: "give another path: --socket, or BROKER_SOCKET"}
	default:
		if c, err := net.DialTimeout("unix", path, answerTime); err == nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.EAGAIN) {
			if err == nil {
				c.Close()
			}
			return nil, &api.Error{Code: api.CodeDaemon, Message: "another process listens on " + path, Hint: "give another path: --socket, or BROKER_SOCKET"}
		}
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
