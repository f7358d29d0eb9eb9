package sshserver

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// endGrace is how long a command may take to follow SIGTERM when the server is shut down.
const endGrace = 3 * time.Second

// serveSession serves one session channel: at most one exec (RFC 4254, section 6.5).
func (s *Server) serveSession(ctx context.Context, conn ssh.Conn, nc ssh.NewChannel) {
	ch, requests, err := nc.Accept()
	if err != nil {
		return
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer ch.Close()
	// requests ends when the client closes the channel or the connection is lost.
	gone, leave := context.WithCancel(ctx)
	defer leave()
	started := false
	for r := range requests {
		var payload struct{ Command string }
		switch {
		case r.Type != "exec" || started || ssh.Unmarshal(r.Payload, &payload) != nil:
			reply(r, false)
			continue
		case s.cfg.Fault == HangExec:
			continue
		case s.cfg.Fault == CloseInExec:
			conn.Close()
			continue
		}
		started = true
		running.Go(func() { s.exec(ctx, gone, ch, r, payload.Command) })
	}
}

// exec runs a command and reports its end. gone is done when nobody listens any more; ctx when the server ends.
func (s *Server) exec(ctx, gone context.Context, ch ssh.Channel, r *ssh.Request, command string) {
	defer ch.Close()
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Env = s.cfg.Env
	cmd.Dir, _ = os.UserHomeDir() // without a home, the server's own directory will do
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p, err := newPipes(cmd)
	if err != nil {
		reply(r, false)
		return
	}
	defer p.close()
	err = cmd.Start()
	p.closeTheirs()
	reply(r, err == nil)
	if err != nil {
		s.log.Warn("start command", "error", err)
		return
	}

	ended := make(chan struct{})
	var running sync.WaitGroup
	defer running.Wait()
	stop := context.AfterFunc(gone, p.close)
	defer stop()
	running.Go(func() { endWith(ctx, cmd.Process.Pid, ended) })
	running.Go(func() {
		defer p.stdin.Close()
		// Errors here and below mean that one end has gone; the other is told by the close.
		_, _ = io.Copy(p.stdin, ch)
	})
	drained, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	running.Go(func() {
		defer drain()
		var output sync.WaitGroup
		output.Go(func() { _, _ = io.Copy(ch, p.stdout) })
		output.Go(func() { _, _ = io.Copy(ch.Stderr(), p.stderr) })
		output.Wait()
	})

	err = cmd.Wait()
	close(ended)
	// As OpenSSH: heirs of the command which hold its output keep the channel open.
	select {
	case <-drained.Done():
	case <-gone.Done():
	}
	// Errors say that the connection is over.
	_ = ch.CloseWrite()
	sendExit(ch, err)
	ch.Close()
}

// endWith ends the command's process group when the server shuts down before it has ended by itself.
func endWith(ctx context.Context, pid int, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	// It is ours and unreaped until ended is closed, so its pid and group are its own. ESRCH is what we want.
	_ = syscall.Kill(-pid, syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(endGrace):
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}

// sendExit reports how a command ended (RFC 4254, section 6.10).
func sendExit(ch ssh.Channel, err error) {
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		if ws, ok := ee.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			name := unix.SignalName(ws.Signal())
			if len(name) > 3 {
				name = name[3:] // without SIG
			}
			_, _ = ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
				Name    string
				Core    bool
				Message string
				Lang    string
			}{Name: name, Core: ws.CoreDump()}))
			return
		}
	}
	code := uint32(255)
	if err == nil || ee != nil {
		code = 0
	}
	if ee != nil {
		code = uint32(ee.ExitCode())
	}
	_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
}

func reply(r *ssh.Request, ok bool) {
	if r.WantReply {
		_ = r.Reply(ok, nil) // an error says that the connection is over
	}
}

// pipes are a command's standard streams. They are plain pipes instead of exec's own copying, because Cmd.Wait must not wait for heirs.
type pipes struct {
	stdin          *os.File
	stdout, stderr *os.File
	theirs         []*os.File
}

func newPipes(cmd *exec.Cmd) (*pipes, error) {
	p := &pipes{}
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.stdin, p.theirs = inW, append(p.theirs, inR)
	cmd.Stdin = inR
	for _, s := range []struct {
		ours *(*os.File)
		to   *io.Writer
	}{{&p.stdout, &cmd.Stdout}, {&p.stderr, &cmd.Stderr}} {
		r, w, err := os.Pipe()
		if err != nil {
			p.closeTheirs()
			p.close()
			return nil, err
		}
		*s.ours, *s.to = r, w
		p.theirs = append(p.theirs, w)
	}
	return p, nil
}

func (p *pipes) closeTheirs() {
	for _, f := range p.theirs {
		f.Close()
	}
}

// close is safe to call again, and on streams that were never made.
func (p *pipes) close() {
	for _, f := range []*os.File{p.stdin, p.stdout, p.stderr} {
		if f != nil {
			f.Close()
		}
	}
}
