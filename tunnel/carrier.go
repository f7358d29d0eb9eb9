package tunnel

import (
	"context"
	"io"
	"net"
)

// channel is one command on the far side, before anything is known of what it does.
type channel interface {
	Stdin() io.WriteCloser
	Stdout() io.Reader
	Stderr() io.Reader
	// Wait returns when the command has ended, or the connection was lost (ErrLinkLost).
	Wait() (Exit, error)
	// Close ends the channel at once; the command sees end of file on its standard input.
	Close() error
}

// carrier is what a shellHost needs to work on a far side: SSH has one, this machine another.
type carrier interface {
	// exec runs a command line through the login shell.
	exec(ctx context.Context, command string) (channel, error)
	dial(ctx context.Context, network, address string) (net.Conn, error)
	done() <-chan struct{}
	err() error
}
