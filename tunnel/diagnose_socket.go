package tunnel

import (
	"context"
	"errors"
	"fmt"
	"path"

	"golang.org/x/crypto/ssh"
)

// socket tells whether the server forwards to unix sockets. To a socket that is not there sshd gives the same answer as where it
// forbids them, so one is needed that is there: the server itself is asked to listen on one, in a directory of ours, and then to connect to it.
func (l connLook) socket(ctx context.Context) error {
	const check = "socket forwarding"
	facts, err := l.host.Facts(ctx)
	if err != nil {
		l.exam.fail(check, err)
		return nil
	}
	dir := path.Join(facts.TempDir, NewWorkspaceName())
	if err := l.host.MakeWorkspace(ctx, dir); err != nil {
		l.exam.fail(check, err)
		return nil
	}
	sock := path.Join(dir, "s")
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askBound)
		defer cancel()
		if left, err := l.host.Reap(ctx, dir); err != nil || len(left) > 0 {
			l.exam.found(Finding{Check: check, Detail: fmt.Sprintf("%s could not be removed", dir), Hint: "remove it by hand"})
		}
	}()
	listens, err := l.ask(ctx, "streamlocal-forward@openssh.com", sock)
	if err != nil {
		l.exam.fail(check, err)
		return nil
	}
	if listens {
		// It ends with the connection at the latest.
		defer func() { _, _ = l.ask(context.WithoutCancel(ctx), "cancel-streamlocal-forward@openssh.com", sock) }()
	} else {
		// It may forbid that and allow the other way: AllowStreamLocalForwarding local.
		done, listens := l.listener(ctx, sock)
		defer done()
		if !listens {
			l.exam.found(Finding{Check: check, Detail: "not known: the server listens on no socket for us, and nothing else that could was found there (perl, python3)",
				Hint: socketHint})
			return nil
		}
	}
	conn, err := l.conn.Dial(ctx, "unix", sock)
	switch {
	case err == nil:
		_ = conn.Close()
		l.ok(check, "", "allowed")
	case errors.Is(err, ErrFarDial), errors.Is(err, ErrForbidden):
		l.exam.found(Finding{Check: check, Detail: "forbidden: a socket that is there cannot be reached", Hint: socketHint})
	default:
		l.exam.fail(check, err)
	}
	return nil
}

const socketHint = "AllowStreamLocalForwarding yes (local is enough) in the server's sshd_config, where AllowTcpForwarding must not be no; until then loopback TCP, which other accounts can reach, takes" +
	" the place of Delve's private socket"

// listener starts a program there that listens on a socket. done ends it.
func (l connLook) listener(ctx context.Context, sock string) (done func(), listens bool) {
	var s script
	mark := newMarker()
	body, err := s.set("dbk_sock", sock).include("listen").words(mark.end()).done()
	if err != nil {
		return func() {}, false
	}
	t, err := l.host.talk(ctx, body, mark, false)
	if err != nil {
		return func() {}, false
	}
	line, err := t.statusLine(ctx)
	return func() { _ = t.ch.Stdin().Close(); _, _ = t.finish(ctx, maxStdout) }, err == nil && line == "listening"
}

// ask asks the server to listen on a socket, or to stop (OpenSSH PROTOCOL, 2.4). What connects to it is refused, as everything that the
// server wants to open.
func (l connLook) ask(ctx context.Context, what, sock string) (bool, error) {
	return await(ctx, l.conn, func() (bool, error) {
		ok, _, err := l.conn.ssh.SendRequest(what, true, ssh.Marshal(&struct{ Path string }{sock}))
		return ok, err
	}, func(bool) {})
}
