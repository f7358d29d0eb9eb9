package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// masterChannel is one channel of a masterConn.
type masterChannel struct {
	master   *masterConn
	requests chan *ssh.Request
	hush     sync.Once // closes requests

	mu      sync.Mutex // guards what start sets, and closed
	control *net.UnixConn
	in, out *os.File // written to, read from
	err     *os.File // standard error; nil but of a session
	closed  bool
}

// start has the master open the channel. pipes is 3 with standard error, else 2.
func (ch *masterChannel) start(message any, pipes int) error {
	ctx, cancel := context.WithTimeout(context.Background(), masterTimeout)
	defer cancel()
	control, err := dialMaster(ctx, ch.master.path)
	if err != nil {
		return err
	}
	if err := ch.adopt(control, pipes, message); err != nil {
		ch.finish()
		return err
	}
	return nil
}

// begin adopts a channel that Wait waits for until finish.
func (m *masterConn) begin(ch *masterChannel) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.over {
		m.open[ch] = struct{}{}
		m.running.Add(1)
	}
	return !m.over
}

func (ch *masterChannel) adopt(control *net.UnixConn, pipes int, message any) error {
	ch.mu.Lock()
	ch.control = control
	closed := ch.closed
	ch.mu.Unlock()
	if closed {
		return net.ErrClosed
	}
	if !ch.master.begin(ch) {
		return errMasterGone
	}
	_ = control.SetDeadline(time.Now().Add(masterTimeout))
	if err := muxGreet(control); err != nil {
		return err
	}
	_ = control.SetDeadline(time.Time{}) // the server may take its time; the channel ends with the master
	if err := muxSend(control, message); err != nil {
		return err
	}
	if err := ch.pass(pipes); err != nil {
		return err
	}
	kind, body, err := muxReceive(control)
	if err != nil {
		return fmt.Errorf("the ControlMaster opens no channel: %w", err)
	}
	switch kind {
	case muxOpened:
		go ch.serve()
		return nil
	case muxDenied, muxFailure:
		return muxRefused(kind, body).channel()
	}
	return fmt.Errorf("the ControlMaster answers with a message %#x", kind)
}

// pass makes the pipes and gives the master its ends of them (monitor_fdpass.c, mm_send_fd).
func (ch *masterChannel) pass(pipes int) error {
	for n := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		ours, theirs := r, w
		if n == 0 {
			ours, theirs = w, r
		}
		ch.mu.Lock()
		*[]**os.File{&ch.in, &ch.out, &ch.err}[n] = ours
		if ch.closed {
			ours.Close()
		}
		ch.mu.Unlock()
		_, _, err = ch.control.WriteMsgUnix([]byte{0}, unix.UnixRights(int(theirs.Fd())), nil)
		theirs.Close()
		if err != nil {
			return fmt.Errorf("pass a pipe: %w", err)
		}
	}
	return nil
}

// serve waits for what the master says of the channel, up to its end.
func (ch *masterChannel) serve() {
	for {
		kind, body, err := muxReceive(ch.control)
		if err != nil {
			break
		}
		if kind == muxExit && len(body) >= 8 {
			select {
			case ch.requests <- &ssh.Request{Type: "exit-status", Payload: body[4:8]}:
			default:
			}
		}
	}
	ch.finish()
}

// finish is the end of the channel: nobody speaks of it any more. What was written to its pipes can still be read.
func (ch *masterChannel) finish() {
	ch.mu.Lock()
	_ = ch.control.Close()
	ch.mu.Unlock()
	ch.hush.Do(func() { close(ch.requests) })
	if ch.master.drop(ch) {
		ch.master.running.Done()
	}
}

// SendRequest runs the command of a session. What is not to be run is an error of the kind that a refused channel has.
func (ch *masterChannel) SendRequest(name string, _ bool, payload []byte) (bool, error) {
	var exec struct{ Line string }
	if name != "exec" || ssh.Unmarshal(payload, &exec) != nil {
		return false, nil
	}
	err := ch.start(struct {
		Kind, ID                   uint32
		Reserved                   string
		TTY, X11, Agent, Subsystem uint32
		Escape                     uint32
		Term, Command              string
	}{Kind: muxNewSession, Escape: muxNoEscape, Command: exec.Line}, 3)
	return err == nil, err
}

func (ch *masterChannel) file(which **os.File) *os.File {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return *which
}

// Read tells the end of a forwarded connection only where the master goes on, as nearChannel's does. How a command ends is told otherwise.
func (ch *masterChannel) Read(p []byte) (int, error) {
	n, err := readPipe(ch.file(&ch.out), p)
	if errors.Is(err, io.EOF) && ch.forwarded() && !ch.master.lives() {
		err = fmt.Errorf("%w: %w", ErrLinkLost, errMasterGone)
	}
	return n, err
}

// forwarded tells whether it is an open forwarded connection.
func (ch *masterChannel) forwarded() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return !ch.closed && ch.err == nil
}

func (ch *masterChannel) Write(p []byte) (int, error) { return ch.file(&ch.in).Write(p) }
func (ch *masterChannel) CloseWrite() error           { return ch.file(&ch.in).Close() }

// Stderr is the standard error of a command.
func (ch *masterChannel) Stderr() io.ReadWriter {
	return struct {
		io.Reader
		io.Writer
	}{readerFunc(func(p []byte) (int, error) { return readPipe(ch.file(&ch.err), p) }), new(bytes.Buffer)}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// readPipe reads what is there; one that we have closed has come to its end.
func readPipe(f *os.File, p []byte) (int, error) {
	if f == nil {
		return 0, io.EOF
	}
	n, err := f.Read(p)
	if errors.Is(err, os.ErrClosed) {
		err = io.EOF
	}
	return n, err
}

// Close ends the channel: the master sees that its pipes and its control connection are gone.
func (ch *masterChannel) Close() error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.closed {
		return io.EOF
	}
	ch.closed = true
	for _, f := range []*os.File{ch.in, ch.out, ch.err} {
		if f != nil {
			_ = f.Close()
		}
	}
	if ch.control != nil {
		return ch.control.Close()
	}
	ch.hush.Do(func() { close(ch.requests) })
	return nil
}
