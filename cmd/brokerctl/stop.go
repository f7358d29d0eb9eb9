package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

// stopTimeout bounds the wait for the daemon's end, which closes its sessions first.
const stopTimeout = 30 * time.Second

// stopped is what stop answers with --json.
type stopped struct {
	Stopped bool `json:"stopped"`
	PID     *int `json:"pid"` // null where none was running
}

func (a *app) stopCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stop",
		Short: "Stop brokerd, and with it the sessions",
		Long:  "Stop brokerd and wait until it has ended. Its sessions are closed. Its forwards end too, and come back with the next brokerd, on the\nsame ports. It is no error if none is running.",
		Example: `  brokerctl stop
  brokerctl stop --json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.stop(cmd.Context()) },
	}
}

func (a *app) stop(ctx context.Context) error {
	p, err := a.place()
	if err != nil {
		return err
	}
	pid, err := a.end(ctx, p)
	switch {
	case err != nil:
		return err
	case pid == 0 && a.json:
		return a.printJSON(stopped{})
	case pid == 0:
		a.say("brokerd is not running")
		return nil
	case a.json:
		return a.printJSON(stopped{true, &pid})
	default:
		return a.print(fmt.Sprintf("brokerd (pid %d) has ended\n", pid))
	}
}

// end ends the daemon and waits until it has ended. It returns its pid, 0 where none was running.
func (a *app) end(ctx context.Context, p place) (int, error) {
	c, peer := p.client()
	defer c.Close()
	info, err := ask(ctx, c)
	if notRunning(err) {
		return 0, nil
	}
	bounded, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if pid := int(peer.Load()); errors.Is(err, context.DeadlineExceeded) && pid > 1 {
		// It listens and does not answer: who it is, the kernel has told.
		a.warn("brokerd does not answer; it is sent a signal")
		info.PID = pid
		err = terminate(pid)
	} else if err == nil {
		err = askToEnd(bounded, c, info, pid)
	}
	if err != nil {
		return 0, err
	}
	if err := waitForEnd(bounded, c, info.PID); err != nil {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return 0, &api.Error{Code: api.CodeDaemon, Message: fmt.Sprintf("brokerd (pid %d) did not end within %s", info.PID, stopTimeout), Hint: "brokerd.log in the state directory says what it waits for"}
	}
	return info.PID, nil
}

// askToEnd asks over the API, and by a signal where the daemon is of another version and answers nothing but who it is. The signal
// goes to the process that the kernel says listens, and only if that is the one it says it is.
func askToEnd(ctx context.Context, c *api.Client, info api.DaemonInfo, peer int) error {
	err := c.Stop(ctx)
	var e *api.Error
	if !errors.As(err, &e) || e.Code != api.CodeVersion {
		return err
	}
	if peer > 1 && peer == info.PID {
		return terminate(peer)
	}
	return err
}

func terminate(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal brokerd (pid %d): %w", pid, err)
	}
	return nil
}

// waitForEnd waits until the process is gone and nobody, or another daemon, listens.
func waitForEnd(ctx context.Context, c *api.Client, pid int) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if !alive(pid) {
			info, err := ask(ctx, c)
			if notRunning(err) || err == nil && info.PID != pid {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
