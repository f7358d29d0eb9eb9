package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// proxyConn is the byte stream that a ProxyCommand makes: its standard input and output. Close ends the program, and wait waits until it is gone.
type proxyConn struct {
	*helper
	in, out *os.File // what is written to it, what is read from it
	close   sync.Once
	over    atomic.Bool // it has closed its input or output
}

// proxyCommand starts the ProxyCommand of a hop as ssh does (sshconnect.c, ssh_proxy_connect): by the user's shell, which becomes the program.
func (a *attempt) proxyCommand(ctx context.Context, hop *Hop) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	defer inR.Close()
	outR, outW, err := os.Pipe()
	if err != nil {
		inW.Close()
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	defer outW.Close()
	environ := a.environment()
	cmd := exec.Command(userShell(environ), "-c", "exec "+hop.ProxyCommand)
	cmd.Stdin, cmd.Stdout, cmd.Env = inR, outW, environ
	h, err := startHelper(cmd, "ProxyCommand", a.log.With("host", hop.name()))
	if err != nil {
		inW.Close()
		outR.Close()
		return nil, hinted(classified(ErrUnreachable, fmt.Errorf("start the ProxyCommand of %s: %w", hop.name(), err)), proxyHint(hop))
	}
	return &proxyConn{helper: h, in: inW, out: outR}, nil
}

func proxyHint(hop *Hop) string {
	return "the ssh configuration has a ProxyCommand for " + hop.name() + ": `ssh -v " + hop.name() + "` shows it at work"
}

// environment is what programs of the user's configuration get: the daemon's own, and the caller's agent.
func (a *attempt) environment() []string {
	environ := os.Environ()
	if a.environ != nil {
		environ = a.environ
	}
	for _, sock := range a.agents {
		if sock != "" {
			return append(environ[:len(environ):len(environ)], "SSH_AUTH_SOCK="+sock) // the last of a name counts
		}
	}
	return environ
}

// userShell is SHELL, as for ssh.
func userShell(environ []string) string {
	shell := "/bin/sh"
	for _, entry := range environ {
		if path, ok := strings.CutPrefix(entry, "SHELL="); ok && filepath.IsAbs(path) {
			shell = path
		}
	}
	return shell
}

func (p *proxyConn) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	return n, p.heed(err)
}

func (p *proxyConn) Write(b []byte) (int, error) {
	n, err := p.in.Write(b)
	return n, p.heed(err)
}

// heed notes that the program has hung up, and takes off what package os puts around the reason: the name of a pipe.
func (p *proxyConn) heed(err error) error {
	if err == nil || errors.Is(err, os.ErrClosed) {
		return err
	}
	p.over.Store(true)
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// Close hangs up and lets the program end, without waiting.
func (p *proxyConn) Close() error {
	p.close.Do(func() {
		p.in.Close()
		p.out.Close()
		p.once.Do(func() { go p.finish(p.over.Load()) })
	})
	return nil
}

// wait waits until the program is gone, once Close has been called.
func (p *proxyConn) wait() { <-p.ended }

func (p *proxyConn) LocalAddr() net.Addr  { return proxyAddr{} }
func (p *proxyConn) RemoteAddr() net.Addr { return proxyAddr{} }

func (p *proxyConn) SetDeadline(t time.Time) error {
	return errors.Join(p.in.SetDeadline(t), p.out.SetDeadline(t))
}
func (p *proxyConn) SetReadDeadline(t time.Time) error  { return p.out.SetReadDeadline(t) }
func (p *proxyConn) SetWriteDeadline(t time.Time) error { return p.in.SetWriteDeadline(t) }

// proxyAddr stands for an address that nobody here knows.
type proxyAddr struct{}

func (proxyAddr) Network() string { return "proxy" }
func (proxyAddr) String() string  { return "ProxyCommand" }
