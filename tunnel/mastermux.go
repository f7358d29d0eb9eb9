package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Messages between an ssh and its ControlMaster (OpenSSH, PROTOCOL.mux and mux.c).
const (
	muxHello      = 0x00000001
	muxNewSession = 0x10000002
	muxAliveCheck = 0x10000004
	muxNewStdio   = 0x10000008 // a forwarded connection, as for ssh -W
	muxOK         = 0x80000001
	muxDenied     = 0x80000002
	muxFailure    = 0x80000003
	muxExit       = 0x80000004
	muxAlive      = 0x80000005
	muxOpened     = 0x80000006
	muxRemotePort = 0x80000007

	muxOpenForward  = 0x10000006
	muxCloseForward = 0x10000007
	muxLocal        = 1 // the master listens
	muxRemote       = 2 // the server does

	muxVersion     = 4
	muxNoEscape    = 0xffffffff
	muxStreamlocal = 0xfffffffe // in place of a port: the host is a socket's path (misc.h, PORT_STREAMLOCAL)
	maxMuxMessage  = 256 << 10
)

// masterConn is the connection of a ControlMaster as an ssh.Conn. Each channel has a control connection of its own, and pipes that the master reads
// and writes. The proxy mode, in which all channels share one, is not used: a master that loses a proxy some of whose channels the server refused, or
// has not opened yet, ends itself, with all the user's sessions on it (channels.c, channel_free, and nchan.c, chan_send_close2: "no remote_id").
//
// Forwards of the master's lead to sockets of ours: what the server listens for comes in there, as channels that the server opens; and where the master
// is older than OpenSSH 9.4 it is how the unix sockets of the far side are reached.
type masterConn struct {
	path     string
	alive    net.Conn      // nothing is asked on it: its end is that of the master
	done     chan struct{} // closed when the master is gone, or by Close
	incoming chan ssh.NewChannel

	mu      sync.Mutex // guards the rest
	open    map[io.Closer]struct{}
	near    map[muxPlace]*nearListener // by where the server listens
	sockets socketWay
	dir     string // where our sockets are; "" until one of our own is made
	ownDir  bool
	over    bool
	running sync.WaitGroup // the goroutines, and one for each channel that is opened through a control connection
	asks    sync.WaitGroup // forwards that are being asked for
}

// socketWay is how a master opens channels to unix sockets.
type socketWay int

const (
	socketsUnknown socketWay = iota
	socketsByStdio           // as for ssh -W, since OpenSSH 9.4
	socketsByForward
)

var errMasterGone = errors.New("the ControlMaster is gone")

// newMasterConn greets a master; alive is a connection to it, which it owns from then on. dir is for sockets, a directory of ours alone, which is made
// where it is not there; "" stands for one that ends with the connection.
func newMasterConn(path string, alive net.Conn, dir string) (*masterConn, error) {
	if err := muxGreet(alive); err != nil {
		return nil, err
	}
	return &masterConn{
		path: path, alive: alive, dir: dir, done: make(chan struct{}), incoming: make(chan ssh.NewChannel),
		open: make(map[io.Closer]struct{}), near: make(map[muxPlace]*nearListener),
	}, nil
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
	switch kind {
	case "session":
		ch := &masterChannel{master: m, requests: make(chan *ssh.Request, 1)}
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
		return m.openStdio(muxPlace{to.Host, to.Port})
	case "direct-streamlocal@openssh.com":
		var to struct {
			Path string
			Rest []byte `ssh:"rest"`
		}
		if err := ssh.Unmarshal(data, &to); err != nil {
			return nil, nil, err
		}
		return m.openSocket(to.Path)
	}
	return nil, nil, &ssh.OpenChannelError{Reason: ssh.UnknownChannelType, Message: kind}
}

func (m *masterConn) openStdio(to muxPlace) (ssh.Channel, <-chan *ssh.Request, error) {
	ch := &masterChannel{master: m, requests: make(chan *ssh.Request, 1)}
	if err := ch.start(struct {
		Kind, ID uint32
		Reserved string
		Host     string
		Port     uint32
	}{Kind: muxNewStdio, Host: to.Host, Port: to.Port}, 2); err != nil {
		return nil, nil, err
	}
	return ch, ch.requests, nil
}

// openSocket opens a channel to a unix socket. An older master takes the path for a host's name (mux.c, mux_master_process_stdio_fwd), and its refusal
// is like that of a newer one whose server has no such socket. Once either way has worked, it is the only one.
func (m *masterConn) openSocket(path string) (ssh.Channel, <-chan *ssh.Request, error) {
	m.mu.Lock()
	way := m.sockets
	m.mu.Unlock()
	if way == socketsByForward {
		return m.openNear(path)
	}
	ch, requests, err := m.openStdio(muxPlace{path, muxStreamlocal})
	var refused *ssh.OpenChannelError
	switch {
	case err == nil:
		m.found(socketsByStdio)
		return ch, requests, nil
	case way == socketsByStdio || !errors.As(err, &refused) || refused.Reason == ssh.Prohibited:
		return nil, nil, err
	}
	ch, requests, err = m.openNear(path)
	if err == nil {
		m.found(socketsByForward)
	}
	return ch, requests, err
}

func (m *masterConn) found(way socketWay) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sockets = way
}

// Wait returns when the master is gone, or Close was called, and all channels have ended. tidy is to follow.
func (m *masterConn) Wait() error {
	_, err := io.Copy(io.Discard, m.alive)
	m.end()
	m.running.Wait()
	close(m.incoming)
	if err == nil {
		err = errMasterGone
	}
	return err
}

// tidy, after Wait, has the forwards closed that are left in the master.
func (m *masterConn) tidy() {
	m.asks.Wait()
	m.mu.Lock()
	left := slices.Collect(maps.Values(m.near))
	clear(m.near)
	dir, own := m.dir, m.ownDir
	m.mu.Unlock()
	var closing sync.WaitGroup
	for _, near := range left {
		closing.Go(near.withdraw)
	}
	closing.Wait()
	if own {
		_ = os.RemoveAll(dir)
	}
}

func (m *masterConn) Close() error {
	m.end()
	return m.alive.Close()
}

func (m *masterConn) end() {
	m.mu.Lock()
	var rest []io.Closer
	if !m.over {
		m.over = true
		close(m.done)
		for ch := range m.open {
			rest = append(rest, ch)
		}
		for _, near := range m.near {
			rest = append(rest, near)
		}
	}
	m.mu.Unlock()
	for _, ch := range rest {
		_ = ch.Close()
	}
}

// enter counts somebody in who asks for a forward; asks.Done is to follow. It is false where all is over.
func (m *masterConn) enter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.over {
		m.asks.Add(1)
	}
	return !m.over
}

// adopt makes a channel known, which is closed when all is over. It is false where it is.
func (m *masterConn) adopt(ch io.Closer) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.over {
		m.open[ch] = struct{}{}
	}
	return !m.over
}

// drop forgets a channel, and tells whether it was known.
func (m *masterConn) drop(ch io.Closer) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.open[ch]
	delete(m.open, ch)
	return known
}

// spawn runs f in a goroutine that Wait waits for. It is false where all is over.
func (m *masterConn) spawn(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.over {
		m.running.Go(f)
	}
	return !m.over
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
