package tunnel

import (
	"bytes"
	"context"
	"encoding/binary"
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

// Messages between an ssh and its ControlMaster (OpenSSH, PROTOCOL.mux and mux.c).
const (
	muxHello      = 0x00000001
	muxNewSession = 0x10000002
	muxNewStdio   = 0x10000008 // a forwarded connection, as for ssh -W
	muxDenied     = 0x80000002
	muxFailure    = 0x80000003
	muxExit       = 0x80000004
	muxOpened     = 0x80000006

	muxVersion     = 4
	muxNoEscape    = 0xffffffff
	muxStreamlocal = 0xfffffffe // in place of a port: the host is a socket's path (misc.h, PORT_STREAMLOCAL)
	maxMuxMessage  = 256 << 10
)

// masterConn is the connection of a ControlMaster as an ssh.Conn. Each channel has a control connection of its own, and pipes that the master reads
// and writes. The proxy mode, in which all channels share one, is not used: a master that loses a proxy some of whose channels the server refused, or
// has not opened yet, ends itself, with all the user's sessions on it (channels.c, channel_free, and nchan.c, chan_send_close2: "no remote_id").
type masterConn struct {
	path  string
	alive net.Conn      // nothing is asked on it: its end is that of the master
	done  chan struct{} // closed when the master is gone, or by Close

	mu      sync.Mutex
	open    map[*masterChannel]struct{}
	over    bool
	running sync.WaitGroup // one for each in open
}

// newMasterConn greets a master; alive is a connection to it, which it owns from then on.
func newMasterConn(path string, alive net.Conn) (*masterConn, error) {
	if err := muxGreet(alive); err != nil {
		return nil, err
	}
	return &masterConn{path: path, alive: alive, done: make(chan struct{}), open: make(map[*masterChannel]struct{})}, nil
}

// muxGreet exchanges the first messages.
func muxGreet(c net.Conn) error {
	if err := muxSend(c, &struct{ Kind, Version uint32 }{muxHello, muxVersion}); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	kind, body, err := muxReceive(c)
	if err != nil {
		return fmt.Errorf("wait for its hello: %w", err)
	}
	if kind != muxHello || len(body) < 4 || binary.BigEndian.Uint32(body) != muxVersion {
		return errors.New("it speaks another language than a ControlMaster")
	}
	return nil
}

func muxSend(w io.Writer, message any) error {
	_, err := w.Write(ssh.Marshal(&struct{ Packet []byte }{ssh.Marshal(message)}))
	return err
}

func muxReceive(r io.Reader) (kind uint32, body []byte, err error) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(head)
	if length < 4 || length > maxMuxMessage {
		return 0, nil, fmt.Errorf("a message of %d bytes", length)
	}
	body = make([]byte, length-4)
	_, err = io.ReadFull(r, body)
	return binary.BigEndian.Uint32(head[4:]), body, err
}

// OpenChannel opens a forwarded connection, or makes a session, which is opened when it is asked to run a command.
func (m *masterConn) OpenChannel(kind string, data []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	ch := &masterChannel{master: m, requests: make(chan *ssh.Request, 1)}
	ask := struct {
		Kind, ID uint32
		Reserved string
		Host     string
		Port     uint32
	}{Kind: muxNewStdio, Port: muxStreamlocal}
	switch kind {
	case "session":
		return ch, ch.requests, nil
	case "direct-tcpip":
		var to struct {
			Host string
			Port uint32
			Rest []byte `ssh:"rest"`
		}
		if err := ssh.Unmarshal(data, &to); err != nil {
			return nil, nil, err
		}
		ask.Host, ask.Port = to.Host, to.Port
	case "direct-streamlocal@openssh.com":
		var to struct {
			Path string
			Rest []byte `ssh:"rest"`
		}
		if err := ssh.Unmarshal(data, &to); err != nil {
			return nil, nil, err
		}
		ask.Host = to.Path
	default:
		return nil, nil, &ssh.OpenChannelError{Reason: ssh.UnknownChannelType, Message: kind}
	}
	if err := ch.start(ask, 2); err != nil {
		return nil, nil, err
	}
	return ch, ch.requests, nil
}

// SendRequest is there for ssh.Conn: a master passes on no global request.
func (m *masterConn) SendRequest(string, bool, []byte) (bool, []byte, error) {
	return false, nil, errors.New("a ControlMaster passes on no global request")
}

// Wait returns when the master is gone, or Close was called, and all channels have ended.
func (m *masterConn) Wait() error {
	_, err := io.Copy(io.Discard, m.alive)
	m.end()
	m.running.Wait()
	if err == nil {
		err = errors.New("the ControlMaster is gone")
	}
	return err
}

func (m *masterConn) Close() error {
	m.end()
	return m.alive.Close()
}

func (m *masterConn) end() {
	m.mu.Lock()
	var rest []*masterChannel
	if !m.over {
		m.over = true
		close(m.done)
		for ch := range m.open {
			rest = append(rest, ch)
		}
	}
	m.mu.Unlock()
	for _, ch := range rest {
		_ = ch.Close()
	}
}

func (m *masterConn) User() string          { return "" }
func (m *masterConn) SessionID() []byte     { return nil }
func (m *masterConn) ClientVersion() []byte { return nil }
func (m *masterConn) ServerVersion() []byte { return nil }
func (m *masterConn) RemoteAddr() net.Addr  { return m.alive.RemoteAddr() }
func (m *masterConn) LocalAddr() net.Addr   { return m.alive.LocalAddr() }

// ask sees that the server behind the master answers: a command that does nothing is opened, or refused.
func (m *masterConn) ask() error {
	ch, requests, _ := m.OpenChannel("session", nil)
	_, err := ch.SendRequest("exec", true, ssh.Marshal(&struct{ Line string }{":"}))
	_ = ch.Close()
	if err == nil {
		ssh.DiscardRequests(requests)
	}
	var refused *ssh.OpenChannelError
	if errors.As(err, &refused) && refused.Reason == ssh.Prohibited {
		_ = m.Close() // its user was asked, and does not want us (mux.c, ask_permission): the server has said nothing
		return errors.New("the ControlMaster refuses")
	}
	return err
}

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

func (ch *masterChannel) adopt(control *net.UnixConn, pipes int, message any) error {
	ch.mu.Lock()
	ch.control = control
	closed := ch.closed
	ch.mu.Unlock()
	if closed {
		return net.ErrClosed
	}
	ch.master.mu.Lock()
	over := ch.master.over
	if !over {
		ch.master.open[ch] = struct{}{}
		ch.master.running.Add(1)
	}
	ch.master.mu.Unlock()
	if over {
		return errors.New("the ControlMaster is gone")
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
		var answer struct {
			ID     uint32
			Reason string
		}
		_ = ssh.Unmarshal(body, &answer)
		reason := ssh.ConnectionFailed
		if kind == muxDenied {
			reason = ssh.Prohibited
		}
		return &ssh.OpenChannelError{Reason: reason, Message: answer.Reason}
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
	ch.master.mu.Lock()
	defer ch.master.mu.Unlock()
	if _, ok := ch.master.open[ch]; ok {
		delete(ch.master.open, ch)
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

func (ch *masterChannel) Read(p []byte) (int, error)  { return readPipe(ch.file(&ch.out), p) }
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
