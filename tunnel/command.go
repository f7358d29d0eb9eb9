package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// lossGrace is how long an end without a status waits to learn whether it was the connection that ended.
const lossGrace = time.Second

// closeGrace is how long a command that we have closed waits for the server to say how it ended.
const closeGrace = 2 * time.Second

// errNoStatus says that the server closed a channel without saying how the command ended.
var errNoStatus = errors.New("the server did not say how the command ended")

// errSessionRefused says that the server opens no further command channel on this connection (MaxSessions).
var errSessionRefused = errors.New("no further session on this connection")

// command is a channel of type "session" that runs a command line (RFC 4254, 6).
type command struct {
	conn    *Conn
	channel ssh.Channel

	endOnce sync.Once
	exited  chan struct{} // closed once exit and err are set
	exit    Exit
	err     error

	closeOnce sync.Once
	closed    chan struct{}
}

// exec runs a command line through the login shell. onEnd is called once, whatever happens, when the session on this connection
// is no more; opened tells whether there was one.
func (c *Conn) exec(ctx context.Context, line string, onEnd func(opened bool)) (*command, error) {
	var once sync.Once
	end := func(opened bool) { once.Do(func() { onEnd(opened) }) }
	var began atomic.Bool
	cmd, err := await(ctx, c, func() (*command, error) {
		began.Store(true)
		channel, requests, err := c.ssh.OpenChannel("session", nil)
		if err != nil {
			end(false)
			var refused *ssh.OpenChannelError
			if errors.As(err, &refused) {
				return nil, fmt.Errorf("%w: %s", errSessionRefused, quoteRemote(refused.Message))
			}
			return nil, err
		}
		cmd := &command{conn: c, channel: channel, exited: make(chan struct{}), closed: make(chan struct{})}
		if !c.group.spawn(func() { cmd.serve(requests); end(true) }) {
			end(true)
			return nil, ErrLinkLost
		}
		c.offerAgent(channel)
		for _, variable := range c.hop.SetEnv { // RFC 4254, section 6.4. As ssh, we do not ask whether the server has done it.
			name, value, _ := strings.Cut(variable, "=")
			if _, err := channel.SendRequest("env", false, ssh.Marshal(&struct{ Name, Value string }{name, value})); err != nil {
				_ = channel.Close()
				return nil, err
			}
		}
		ok, err := channel.SendRequest("exec", true, ssh.Marshal(&struct{ Line string }{line}))
		var refused *ssh.OpenChannelError // by a ControlMaster, which opens the session now
		switch {
		case errors.As(err, &refused):
			_ = channel.Close()
			return nil, fmt.Errorf("%w: %s", errSessionRefused, quoteRemote(refused.Message))
		case err != nil:
			_ = channel.Close()
			return nil, err
		case !ok:
			_ = channel.Close()
			return nil, hinted(fmt.Errorf("%w: run a command", ErrForbidden), "the server runs no commands for this user or key (ForceCommand, sftp only, nologin?)")
		}
		return cmd, nil
	}, func(cmd *command) { _ = cmd.channel.Close() })
	if !began.Load() {
		end(false)
	}
	return cmd, err
}

// serve answers what the server asks on the channel until it is closed, and notes how the command ended.
func (cmd *command) serve(requests <-chan *ssh.Request) {
	for req := range requests {
		switch req.Type {
		case "exit-status":
			var status struct{ Code uint32 }
			if ssh.Unmarshal(req.Payload, &status) == nil {
				cmd.end(Exit{Code: int(status.Code)}, nil)
			}
		case "exit-signal":
			var signal struct {
				Name    string
				Core    bool
				Message string
				Lang    string
			}
			if ssh.Unmarshal(req.Payload, &signal) == nil {
				cmd.end(Exit{Signal: signalName(signal.Name)}, nil)
			}
		}
		_ = req.Reply(false, nil)
	}
	if isClosed(cmd.exited) {
		return
	}
	timer := time.NewTimer(lossGrace)
	defer timer.Stop()
	select {
	case <-cmd.conn.done:
	case <-timer.C:
	}
	if cmd.conn.lost() {
		cmd.end(Exit{}, cmd.conn.lossOr(ErrLinkLost))
		return
	}
	cmd.end(Exit{}, errNoStatus)
}

// end notes how the command ended; the first to know counts.
func (cmd *command) end(exit Exit, err error) {
	cmd.endOnce.Do(func() { cmd.exit, cmd.err = exit, err; close(cmd.exited) })
}

// signalName bounds what the server calls a signal to what a signal may be called.
func signalName(name string) string {
	const longest = 16
	for i := range len(name) {
		if c := name[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') || i >= longest {
			return "unknown"
		}
	}
	if name == "" {
		return "unknown"
	}
	return name
}

func (cmd *command) Stdin() io.WriteCloser { return &commandInput{cmd: cmd} }
func (cmd *command) Stdout() io.Reader     { return newCommandOutput(cmd, cmd.channel) }
func (cmd *command) Stderr() io.Reader     { return newCommandOutput(cmd, cmd.channel.Stderr()) }

// Wait returns as soon as the server says how the command ended; what it printed may still be on its way.
func (cmd *command) Wait() (Exit, error) {
	<-cmd.exited
	return cmd.exit, cmd.err
}

// Close ends the channel for us at once: readers return, and Wait does after closeGrace, though the server may never confirm it.
func (cmd *command) Close() error {
	cmd.closeOnce.Do(func() {
		close(cmd.closed)
		cmd.conn.group.spawn(func() { _ = cmd.channel.Close() }) // false: the connection is gone, and the channel with it
		cmd.conn.group.spawn(func() {
			timer := time.NewTimer(closeGrace)
			defer timer.Stop()
			select {
			case <-cmd.exited:
			case <-cmd.conn.done: // serve tells
			case <-timer.C:
				cmd.end(Exit{}, errNoStatus)
			}
		})
	})
	return nil
}

// commandInput is a command's standard input; Close is end of file.
type commandInput struct {
	cmd *command
	mu  sync.Mutex // x/crypto allows one writer at a time
}

func (in *commandInput) Write(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	n, err := in.cmd.channel.Write(p)
	if err != nil && in.cmd.conn.lost() {
		return n, in.cmd.conn.lossOr(err)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrClosedPipe
	}
	return n, err
}

func (in *commandInput) Close() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.cmd.channel.CloseWrite(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// commandOutput tells the end of the output from the loss of the connection. Close of the command ends a Read.
type commandOutput struct {
	cmd  *command
	from io.Reader
	in   *feed
	once sync.Once // the goroutine that reads begins with the first Read
}

func newCommandOutput(cmd *command, from io.Reader) *commandOutput {
	return &commandOutput{cmd: cmd, from: from, in: newFeed()}
}

func (out *commandOutput) Read(p []byte) (int, error) {
	out.once.Do(func() {
		if !out.cmd.conn.group.spawn(func() { out.in.pump(out.from, out.cmd.closed, out.translate) }) {
			out.in.fail(out.cmd.conn.lossOr(ErrLinkLost))
		}
	})
	return out.in.read(p, out.cmd.closed, nil)
}

func (out *commandOutput) translate(err error) error {
	if out.cmd.conn.lost() {
		return out.cmd.conn.lossOr(err)
	}
	return err
}

var _ channel = (*command)(nil)
