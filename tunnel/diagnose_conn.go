package tunnel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	pings = 3
	// probedSessions is one more than sshd's default of MaxSessions: more need not be known.
	probedSessions = 11
	// fewSessions is what a debug session and a look at its host take together, with some room.
	fewSessions = 4
)

// connLook looks at what the server allows on a connection of its own.
type connLook struct {
	exam *examination
	conn *Conn
	host *shellHost
}

// all looks at everything. The error says that nothing more can be asked: no command runs, or the connection is gone.
func (l connLook) all(ctx context.Context) error {
	// The sessions are counted before anything has run, since sshd counts a command for a while after its channel is closed.
	for _, look := range []func(context.Context) error{l.roundTrip, l.sessions, l.loginShell, l.tcp, l.socket, l.sftp} {
		bounded, cancel := context.WithTimeout(ctx, askBound)
		err := look(bounded)
		cancel()
		if err != nil {
			return err
		}
		if l.conn.lost() { // its end is about to be told
			select {
			case <-l.conn.Done():
			case <-ctx.Done():
			}
		}
		if err := l.conn.Err(); err != nil {
			l.exam.fail("connection", err)
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (l connLook) ok(check, hint, format string, args ...any) {
	l.exam.found(Finding{Check: check, OK: true, Detail: fmt.Sprintf(format, args...), Hint: hint})
}

// roundTrip takes the best of a few: what is above it is chance.
func (l connLook) roundTrip(ctx context.Context) error {
	best := time.Duration(-1)
	for range pings {
		rtt, err := l.conn.Ping(ctx)
		if err != nil {
			break
		}
		if best < 0 || rtt < best {
			best = rtt
		}
	}
	if best < 0 {
		l.exam.found(Finding{Check: "round trip", Detail: "the server does not answer", Hint: "is the machine, or the network to it, overloaded?"})
		return nil
	}
	l.ok("round trip", "", "%s", milliseconds(best))
	return nil
}

// loginShell tells whether commands run, and what the login prints before them.
func (l connLook) loginShell(ctx context.Context) error {
	const check = "login shell"
	began := time.Now()
	mark := newMarker()
	t, err := l.host.talk(ctx, "dbk_code=0\n"+mark.end(), mark, false)
	if err == nil {
		_, err = t.finish(ctx, maxStdout)
	}
	if err != nil {
		if ctx.Err() != nil && hintOf(err) == "" {
			err = hinted(fmt.Errorf("no command answers within %s", askBound), "does a login script (.profile, .bashrc) wait for something? `ssh HOST true` shows it")
		}
		l.exam.fail(check, err)
		return err
	}
	took := time.Since(began)
	facts, err := l.host.Facts(ctx)
	if err != nil {
		l.exam.fail(check, wrapHinted("ask what the host is", err))
		return err
	}
	if t.noise > 0 {
		l.ok(check, "that is skipped and does no harm; start-up files should print only where there is a terminal",
			"%s runs commands (%s); the login prints %d bytes before them", facts.Shell, milliseconds(took), t.noise)
		return nil
	}
	l.ok(check, "", "%s runs commands (%s), and prints nothing of its own", facts.Shell, milliseconds(took))
	return nil
}

// tcp asks for a connection to a port that nobody should have: "refused" comes where sshd forwards, "prohibited" where it does not.
func (l connLook) tcp(ctx context.Context) error {
	const check = "tcp forwarding"
	conn, err := l.conn.Dial(ctx, "tcp", "127.0.0.1:1")
	switch {
	case err == nil:
		_ = conn.Close()
		l.ok(check, "", "allowed")
	case errors.Is(err, ErrFarDial):
		l.ok(check, "", "allowed")
	default:
		l.exam.fail(check, err)
	}
	return nil
}

// sftp asks for the subsystem and hangs up. Nothing of ours needs it.
func (l connLook) sftp(ctx context.Context) error {
	const check = "sftp"
	if l.conn.master != "" {
		l.ok(check, "", "not asked for over a ControlMaster")
		return nil
	}
	ok, err := await(ctx, l.conn, func() (bool, error) {
		channel, requests, err := l.freeSession(ctx)
		if err != nil {
			return false, err
		}
		defer drained(channel, requests)
		return channel.SendRequest("subsystem", true, ssh.Marshal(&struct{ Name string }{"sftp"}))
	}, func(bool) {})
	switch {
	case err != nil:
		l.exam.fail(check, err)
	case !ok:
		l.ok(check, "debugging does without; to copy files with sftp or scp: Subsystem sftp internal-sftp in the server's sshd_config", "not offered")
	default:
		l.ok(check, "", "offered")
	}
	return nil
}

// freeSession opens a command channel, where need be once the server has forgotten the last one.
func (l connLook) freeSession(ctx context.Context) (ssh.Channel, <-chan *ssh.Request, error) {
	giveUp := time.Now().Add(slotWait)
	for {
		channel, requests, err := l.conn.ssh.OpenChannel("session", nil)
		var refused *ssh.OpenChannelError
		if !errors.As(err, &refused) || time.Now().After(giveUp) {
			return channel, requests, err
		}
		select {
		case <-time.After(slotPause):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// sessions counts how many command channels the server opens at once. Nothing is run on them.
func (l connLook) sessions(ctx context.Context) error {
	const check = "sessions"
	var open []func()
	var refused error
	if l.conn.master != "" {
		l.ok(check, "", "not counted: the connection is shared with the ControlMaster's own")
		return nil
	}
	for len(open) < probedSessions && refused == nil {
		close, err := await(ctx, l.conn, func() (func(), error) {
			channel, requests, err := l.conn.ssh.OpenChannel("session", nil)
			if err != nil {
				return nil, err
			}
			return func() { drained(channel, requests) }, nil
		}, func(close func()) { close() })
		if err != nil {
			refused = err
			break
		}
		open = append(open, close)
	}
	_, _ = await(context.WithoutCancel(ctx), l.conn, func() (bool, error) { // ends with the connection
		for _, close := range open {
			close()
		}
		return true, nil
	}, func(bool) {})
	var no *ssh.OpenChannelError
	switch {
	case refused != nil && !errors.As(refused, &no):
		l.exam.fail(check, fmt.Errorf("count what may be open at once: %w", refused))
	case refused == nil:
		l.ok(check, "", "%d or more at once on a connection", len(open))
	case len(open) == 0:
		l.exam.fail(check, hinted(fmt.Errorf("the server opens none: %s", quoteRemote(no.Message)), "MaxSessions in its sshd_config must be 1 at least, better 10 (its default)"))
		return refused
	case len(open) < fewSessions:
		l.ok(check, "each session that does not fit costs a further connection, with its own login: raise MaxSessions in the server's sshd_config (10 is its default)",
			"%d at once on a connection", len(open))
	default:
		l.ok(check, "", "%d at once on a connection", len(open))
	}
	return nil
}

// drained closes a channel and waits until the server has closed it too, or the connection has ended.
func drained(channel ssh.Channel, requests <-chan *ssh.Request) {
	_ = channel.Close()
	ssh.DiscardRequests(requests)
}
