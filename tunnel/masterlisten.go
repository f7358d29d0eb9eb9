package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/tailscale/peercred"
	"golang.org/x/crypto/ssh"
)

// nearListener is a socket of ours to which a master passes on what comes in at the far side.
type nearListener struct {
	net.Listener
	asked muxForward
	host  string // as the server was asked for it; a path where port is 0
	port  uint32 // where the server listens
	claim *masterClaim
}

// listen has the server listen, and the master pass on to a socket of ours what comes in. bound is the port.
//
// A master that was refused a port goes on believing that it is for the socket that came with the request, and whoever gets the port later has his
// connections led there (mux.c, mux_confirm_remote_forward, leaves channels.c's permission as it is). So the name of the socket depends on the place
// alone, and there is no socket of that name unless the server listens, or is about to.
func (m *masterConn) listen(at muxPlace) (bound uint32, err error) {
	if !m.enter() {
		return 0, errMasterGone
	}
	defer m.asks.Done()
	claim, err := m.claim(muxRemote, at)
	if err != nil {
		return 0, err
	}
	l, err := listenSocket(context.Background(), claim.socket, ForwardOptions{Unlink: true})
	if err != nil {
		claim.release()
		return 0, err
	}
	near := &nearListener{Listener: l, asked: muxForward{muxRemote, at, muxPlace{claim.socket, muxStreamlocal}}, host: at.Host, port: at.Port, claim: claim}
	if err := claim.note(near.asked); err != nil {
		_ = l.Close()
		claim.release()
		return 0, err
	}
	port, err := askForward(m.path, muxOpenForward, near.asked, m.done)
	switch {
	case answerless(err):
		near.withdraw()
		return 0, err
	case err != nil:
		_ = l.Close()
		claim.release()
		return 0, err
	}
	switch {
	case at.Port == muxStreamlocal:
		near.port = 0
	case at.Port == 0:
		near.port = port
	}
	m.mu.Lock()
	m.near[near.place()] = near
	m.mu.Unlock()
	if !m.spawn(func() { m.acceptNear(near) }) {
		m.unlisten(near.place())
		return 0, errMasterGone
	}
	return near.port, nil
}

// place is where the server listens, as the end of it is asked for.
func (n *nearListener) place() muxPlace {
	if n.asked.Listen.Port == muxStreamlocal {
		return n.asked.Listen
	}
	return muxPlace{n.host, n.port}
}

// unlisten ends what listen began. It tells whether there was such a thing.
func (m *masterConn) unlisten(at muxPlace) bool {
	m.mu.Lock()
	near := m.near[at]
	delete(m.near, at)
	m.mu.Unlock()
	if near != nil {
		near.withdraw()
	}
	return near != nil
}

// withdraw closes the socket, and has the master close its forward. Where that is not certain, the record of it stays, for who comes later.
func (n *nearListener) withdraw() {
	_ = n.Close()
	n.claim.withdraw(n.asked)
}

// acceptNear passes on what the master connects to us, until the listener is closed.
func (m *masterConn) acceptNear(near *nearListener) {
	for {
		c, err := near.Accept()
		if err != nil {
			return
		}
		if creds, err := peercred.Get(c); err != nil || !sameUser(creds) {
			_ = c.Close()
			continue
		}
		select {
		case m.incoming <- &nearIncoming{master: m, conn: c.(*net.UnixConn), from: near}:
		case <-m.done:
			_ = c.Close()
			return
		}
	}
}

func sameUser(creds *peercred.Creds) bool {
	uid, ok := creds.UserID()
	return ok && uid == fmt.Sprint(os.Geteuid())
}

// nearIncoming is a connection that came in at the far side, as the server's request to open a channel for it, which the master has answered.
type nearIncoming struct {
	master *masterConn
	conn   *net.UnixConn
	from   *nearListener
}

func (in *nearIncoming) ChannelType() string {
	if in.from.asked.Listen.Port == muxStreamlocal {
		return "forwarded-streamlocal@openssh.com"
	}
	return "forwarded-tcpip"
}

// ExtraData says where it came in. Where it came from, the master does not tell.
func (in *nearIncoming) ExtraData() []byte {
	if in.from.asked.Listen.Port == muxStreamlocal {
		return ssh.Marshal(&struct{ Path, Reserved string }{Path: in.from.host})
	}
	host := in.from.host
	if host == "*" {
		host = ""
	}
	return ssh.Marshal(&struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}{Host: host, Port: in.from.port})
}

func (in *nearIncoming) Accept() (ssh.Channel, <-chan *ssh.Request, error) {
	ch, err := in.master.nearChannel(in.conn)
	if err != nil {
		return nil, nil, err
	}
	return ch, ch.requests, nil
}

func (in *nearIncoming) Reject(ssh.RejectionReason, string) error { return in.conn.Close() }

// openNear opens a channel to a unix socket of the far side by a forward of the master's from a socket of ours to that one, for masters that know no
// other way. Only this one connection goes through.
//
// The master lets us in before the server has said whether it does. Its question to the server is the first thing that it does with the connection;
// one that we have it ask afterwards is answered later.
func (m *masterConn) openNear(path string) (ssh.Channel, <-chan *ssh.Request, error) {
	if !m.enter() {
		return nil, nil, errMasterGone
	}
	defer m.asks.Done()
	far := muxPlace{path, muxStreamlocal}
	claim, err := m.claim(muxLocal, far)
	if err != nil {
		return nil, nil, err
	}
	f := muxForward{muxLocal, muxPlace{claim.socket, muxStreamlocal}, far}
	if err := claim.note(f); err != nil {
		claim.release()
		return nil, nil, err
	}
	_, err = askForward(m.path, muxOpenForward, f, m.done)
	var refused *muxRefusal
	switch {
	case errors.As(err, &refused):
		claim.release()
		return nil, nil, refused.channel()
	case err == nil:
		defer claim.withdraw(f)
	default:
		claim.withdraw(f)
		return nil, nil, err
	}
	// Its StreamLocalBindMask may keep even us out. In our directory nobody else comes by it.
	if err := os.Chmod(claim.socket, 0o600); err != nil {
		return nil, nil, err
	}
	dialling, cancel := context.WithTimeout(context.Background(), masterTimeout)
	defer cancel()
	c, err := new(net.Dialer).DialContext(dialling, "unix", claim.socket)
	if err != nil {
		return nil, nil, bare(err)
	}
	ch, err := m.nearChannel(c.(*net.UnixConn))
	if err != nil {
		return nil, nil, err
	}
	var no *ssh.OpenChannelError
	if err := m.ask(); err != nil && !errors.As(err, &no) { // a refusal is an answer too
		_ = ch.Close()
		return nil, nil, err
	}
	if ch.over() {
		_ = ch.Close()
		return nil, nil, &ssh.OpenChannelError{Reason: ssh.ConnectionFailed, Message: "the server opens no connection to the socket"}
	}
	return ch, ch.requests, nil
}

// channel is the refusal of a forward as that of a channel.
func (e *muxRefusal) channel() error {
	reason := ssh.ConnectionFailed
	if e.denied {
		reason = ssh.Prohibited
	}
	return &ssh.OpenChannelError{Reason: reason, Message: e.reason}
}
