package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrReleased is the Err of a local Host after its Release.
var ErrReleased = errors.New("host released")

// LocalOptions is how NewLocal makes its Host.
type LocalOptions struct {
	// Environ is what programs get, K=V each; nil is this process's environment.
	Environ []string
}

// NewLocal makes the Host that is this machine, without SSH.
//
// Programs run as children of this process, each in a session of its own, in the home directory, with this process's environment
// as it was when NewLocal was called: a daemon's, not a login's; Facts.Path is the login shell's. When this process dies,
// however it dies, the kernel closes their pipes, and their lifelines end them.
func NewLocal(opts LocalOptions) Host {
	env := opts.Environ
	if env == nil {
		env = os.Environ()
	}
	c := &localCarrier{env: env, closed: make(chan struct{}), open: map[*localChannel]struct{}{}}
	return newShellHost("", c, nil, c.close)
}

// localCarrier runs shells as children. One goroutine a child waits for it; close waits for those.
type localCarrier struct {
	env    []string
	closed chan struct{}

	mu   sync.Mutex
	open map[*localChannel]struct{} // those whose child runs
	wg   sync.WaitGroup             // one for each in open
}

// close ends all channels, as the loss of a link does over SSH, and waits for the children, for at most releaseBound.
func (c *localCarrier) close() {
	c.mu.Lock()
	close(c.closed)
	var rest []*localChannel
	for ch := range c.open {
		rest = append(rest, ch)
	}
	c.mu.Unlock()
	for _, ch := range rest {
		ch.Close()
	}
	bound := time.NewTimer(releaseBound)
	defer bound.Stop()
	for _, ch := range rest {
		select {
		case <-ch.ended:
		case <-bound.C:
			return
		}
	}
	c.wg.Wait() // all have ended: only their goroutines' last steps are left
}

func (c *localCarrier) done() <-chan struct{} { return c.closed }

func (c *localCarrier) err() error {
	select {
	case <-c.closed:
		return ErrReleased
	default:
		return nil
	}
}

func (c *localCarrier) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}

// exec starts the shell. ctx bounds the start alone.
func (c *localCarrier) exec(ctx context.Context, command string) (channel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Env = c.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Dir = homeDir(c.env)
	stdinR, stdinW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	defer stdinR.Close()
	stdoutR, stdoutW, err := os.Pipe()
	if err != nil {
		stdinW.Close()
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	defer stdoutW.Close()
	stderrR, stderrW, err := os.Pipe()
	if err != nil {
		stdinW.Close()
		stdoutR.Close()
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	defer stderrW.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdinR, stdoutW, stderrW
	ch := &localChannel{stdin: stdinW, stdout: stdoutR, stderr: stderrR, ended: make(chan struct{})}

	c.mu.Lock()
	if err = c.err(); err == nil {
		c.open[ch] = struct{}{}
		c.wg.Add(1)
	}
	c.mu.Unlock()
	if err != nil {
		ch.Close()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		close(ch.ended)
		c.forget(ch)
		ch.Close()
		return nil, fmt.Errorf("start shell: %w", err)
	}
	go func() {
		defer c.forget(ch)
		defer close(ch.ended)
		ch.exit, ch.err = waitChild(cmd)
		// As sshd does: the lifeline learns from it that the program has ended.
		ch.stdin.Close()
	}()
	return ch, nil
}

func (c *localCarrier) forget(ch *localChannel) {
	c.mu.Lock()
	delete(c.open, ch)
	c.mu.Unlock()
	c.wg.Done()
}

// homeDir is where sshd would start the shell.
func homeDir(env []string) string {
	for _, entry := range env {
		if home, ok := strings.CutPrefix(entry, "HOME="); ok {
			if info, err := os.Stat(home); err == nil && info.IsDir() {
				return home
			}
		}
	}
	return "/"
}

func waitChild(cmd *exec.Cmd) (Exit, error) {
	err := cmd.Wait()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return Exit{}, fmt.Errorf("wait for child: %w", err)
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return Exit{Signal: strings.TrimPrefix(unix.SignalName(status.Signal()), "SIG")}, nil
	}
	return Exit{Code: cmd.ProcessState.ExitCode()}, nil
}

// localChannel is a child with three pipes.
type localChannel struct {
	stdin, stdout, stderr *os.File
	once                  sync.Once
	ended                 chan struct{} // closed when exit and err are set
	exit                  Exit
	err                   error
}

func (ch *localChannel) Stdin() io.WriteCloser { return ch.stdin }
func (ch *localChannel) Stdout() io.Reader     { return ch.stdout }
func (ch *localChannel) Stderr() io.Reader     { return ch.stderr }

// Wait returns when the child has ended.
func (ch *localChannel) Wait() (Exit, error) {
	<-ch.ended
	return ch.exit, ch.err
}

// Close closes the pipes. The child sees it as the far side of a lost link does.
func (ch *localChannel) Close() error {
	ch.once.Do(func() {
		ch.stdin.Close()
		ch.stdout.Close()
		ch.stderr.Close()
	})
	return nil
}
