package main

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notifier tells systemd how far we are (sd_notify(3)). Without systemd it tells nobody.
type notifier struct {
	mu     sync.Mutex
	socket string
}

// takeNotifier takes systemd's variables out of the environment: what we start must not speak for us, nor take our watchdog or
// sockets for its own. It comes before anything is started.
func takeNotifier() (*notifier, error) {
	n := &notifier{socket: os.Getenv("NOTIFY_SOCKET")}
	var errs []error
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"} {
		errs = append(errs, os.Unsetenv(name))
	}
	return n, errors.Join(errs...)
}

// tell sends a state, such as daemon.SdNotifyReady.
func (n *notifier) tell(state string) error {
	if n.socket == "" {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	// The library finds the socket in the environment only.
	if err := os.Setenv("NOTIFY_SOCKET", n.socket); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	if _, err := daemon.SdNotify(true, state); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
