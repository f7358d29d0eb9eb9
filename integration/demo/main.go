// Command demo shows a whole debug session, from `brokerctl open` to nothing left, on this machine alone and with only Go on it: the "remote
// host" is an SSH server in this process (integration/sshserver), reached over the loopback interface with keys made for the occasion.
//
// The binaries are the real ones, built on the spot, and the front end speaks real DAP to a real Delve. Sessions in python, node and java follow
// where their tools are found.
//
// It exits with 0 only if everything went as told, and cleans up after itself in any case, Ctrl-C included.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, narrator{out: os.Stdout})
	switch {
	case err == nil:
	case errors.Is(ctx.Err(), context.Canceled):
		fmt.Fprintln(os.Stderr, "interrupted; everything that the demo started has been ended")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "error: the demo failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, n narrator) (err error) {
	n.title("debugbroker: a debugger on a program that runs somewhere else")
	n.say(`debugbroker opens a port on this machine which any debugger front end attaches to, for a program on a host that you reach by SSH.
This demo plays both ends. The "remote" is an SSH server inside the demo, on a port of 127.0.0.1, with keys made just now.
Your ~/.ssh is neither read nor written.`)

	h, err := newHouse(ctx, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close(n)) }()

	for _, l := range languages() {
		if err := h.tour(ctx, n, l); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return nil
}
