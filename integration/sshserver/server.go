package sshserver

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/crypto/ssh"
)

// handshakeTimeout bounds how long a client may take to authenticate.
const handshakeTimeout = 30 * time.Second

// Fault is something that the server does wrong on purpose.
type Fault string

// The faults.
const (
	NoFault           Fault = ""
	Silent            Fault = "silent"              // accepts the TCP connection and never says a word
	CloseAtOnce       Fault = "close-at-once"       // closes the TCP connection before its version line
	CloseAfterAuth    Fault = "close-after-auth"    // closes the connection once the client is in
	CloseInExec       Fault = "close-in-exec"       // closes the connection when the first command is asked for
	HangExec          Fault = "hang-exec"           // never answers the request for a command
	HangOpen          Fault = "hang-open"           // never answers the opening of a channel
	HangGlobal        Fault = "hang-global"         // never answers a global request
	RefuseTCP         Fault = "refuse-tcp"          // AllowTcpForwarding no
	RefuseStreamLocal Fault = "refuse-stream-local" // AllowStreamLocalForwarding no
)

// Config is what a server needs.
type Config struct {
	// HostKey is the server's key; nil asks for a fresh one.
	HostKey ssh.Signer
	// AuthorizedKey is the one public key that gets in; nil where none does.
	AuthorizedKey ssh.PublicKey
	// Password lets a password in; nil takes none.
	Password func(password string) bool
	// Keyboard holds a keyboard-interactive conversation and returns whether it was answered well; nil takes none.
	Keyboard func(ask ssh.KeyboardInteractiveChallenge) bool
	// KeyThenKeyboard makes the key the first of two steps, of which Keyboard is the second.
	KeyThenKeyboard bool
	// MaxAuthTries is after how many failures the server hangs up; 0 is 6, as with sshd.
	MaxAuthTries int
	// Banner is shown before authentication.
	Banner string
	// Env is the environment of commands; nil is this process's own.
	Env    []string
	Fault  Fault
	Logger hclog.Logger // nil: nothing is logged
}

// Server is an SSH server on a free port of 127.0.0.1.
type Server struct {
	cfg      Config
	log      hclog.Logger
	ssh      *ssh.ServerConfig
	listener net.Listener
}

// Listen makes a server which accepts connections from now on and answers them once Serve runs.
func Listen(cfg Config) (*Server, error) {
	if cfg.AuthorizedKey == nil && cfg.Password == nil && cfg.Keyboard == nil {
		return nil, errors.New("listen: nobody could get in")
	}
	if cfg.HostKey == nil {
		key, err := NewKey()
		if err != nil {
			return nil, err
		}
		cfg.HostKey = key
	}
	if cfg.Env == nil {
		cfg.Env = os.Environ()
	}
	s := &Server{cfg: cfg, log: cfg.Logger}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	s.ssh = s.authentication()
	s.ssh.AddHostKey(cfg.HostKey)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s.listener = l
	return s, nil
}

// NewKey makes a fresh Ed25519 key.
func NewKey() (ssh.Signer, error) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return ssh.NewSignerFromKey(priv)
}

// Addr is where the server listens.
func (s *Server) Addr() *net.TCPAddr { return s.listener.Addr().(*net.TCPAddr) }

// HostKey is the key that it shows.
func (s *Server) HostKey() ssh.PublicKey { return s.cfg.HostKey.PublicKey() }

// Serve answers connections until ctx is done, then ends them and what they run. It returns nil once nothing of the server is left. It
// must be called once: it also closes the listener.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { s.listener.Close() })
	defer stop()
	for {
		conn, err := s.listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		case err != nil:
			s.log.Warn("accept", "error", err)
		default:
			running.Go(func() { s.serveConn(ctx, conn) })
		}
	}
}

// serveConn serves one TCP connection to its end.
func (s *Server) serveConn(ctx context.Context, tcp net.Conn) {
	defer tcp.Close()
	stop := context.AfterFunc(ctx, func() { tcp.Close() })
	defer stop()

	switch s.cfg.Fault {
	case CloseAtOnce:
		return
	case Silent:
		_, _ = io.Copy(io.Discard, tcp) // until the client has given up
		return
	}
	if err := tcp.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return
	}
	conn, channels, requests, err := ssh.NewServerConn(tcp, s.ssh)
	if err != nil {
		s.log.Debug("handshake", "error", err)
		return
	}
	defer conn.Close()
	if err := tcp.SetDeadline(time.Time{}); err != nil || s.cfg.Fault == CloseAfterAuth {
		return
	}
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { answerGlobal(requests, s.cfg.Fault == HangGlobal) })
	for nc := range channels {
		if s.cfg.Fault == HangOpen {
			continue
		}
		running.Go(func() { s.serveChannel(ctx, conn, nc) })
	}
}

// answerGlobal answers keepalives as OpenSSH does: with a failure, which proves life as well as a success, and keeps clients from
// believing in extensions that are not there.
func answerGlobal(requests <-chan *ssh.Request, hang bool) {
	for r := range requests {
		if r.WantReply && !hang {
			// An error says that the connection is over; the loop then ends too.
			_ = r.Reply(false, nil)
		}
	}
}

func (s *Server) serveChannel(ctx context.Context, conn ssh.Conn, nc ssh.NewChannel) {
	switch nc.ChannelType() {
	case "session":
		s.serveSession(ctx, conn, nc)
	case "direct-tcpip":
		s.serveTCP(ctx, nc)
	case "direct-streamlocal@openssh.com":
		s.serveStreamLocal(ctx, nc)
	default:
		// An error says that the connection is over.
		_ = nc.Reject(ssh.UnknownChannelType, "unknown channel type")
	}
}
