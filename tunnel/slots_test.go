package tunnel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// fullLink is a link of one connection to a server that runs one command at a time; dials counts the tries to make another one, each of which
// fails with err.
func fullLink(t *testing.T, err error) (l *Link, dials *atomic.Int32) {
	t.Helper()
	_, hop := testBox(t, "MaxSessions 1")
	conn, derr := (&Dialer{}).Dial(t.Context(), NewTarget([]Hop{hop}), Caller{}, nil)
	if derr != nil {
		t.Fatal(derr)
	}
	dials = new(atomic.Int32)
	return runLink(t, newLink(conn, hop, func(context.Context) (*Conn, error) { dials.Add(1); return nil, err }, hclog.NewNullLogger())), dials
}

func TestShortCommandsQueue(t *testing.T) {
	t.Parallel()
	l, dials := fullLink(t, classified(ErrAuth, fmt.Errorf("%w: the host asks for a password", ErrNeedsAuth)))
	const commands = 20
	var wg sync.WaitGroup
	for i := range commands {
		wg.Go(func() {
			ch, err := l.exec(t.Context(), fmt.Sprintf("echo %d", i))
			if err != nil {
				t.Errorf("command %d: %v", i, err)
				return
			}
			defer ch.Close()
			if out := readLine(t, ch.Stdout()); out != fmt.Sprint(i) {
				t.Errorf("command %d printed %q", i, out)
			}
			if exit, err := ch.Wait(); err != nil || exit != (Exit{}) {
				t.Errorf("command %d: %+v, %v", i, exit, err)
			}
		})
	}
	wg.Wait()
	if n := dials.Load(); n > 1 {
		t.Errorf("%d failed logins, want 1 at most: servers lock out who keeps failing", n)
	}
	if l.Conns() != 1 || l.Err() != nil {
		t.Errorf("%d connections, %v", l.Conns(), l.Err())
	}
}

func TestNoRoom(t *testing.T) {
	t.Parallel()
	l, dials := fullLink(t, classified(ErrAuth, fmt.Errorf("%w: the host asks for a password", ErrNeedsAuth)))
	long, err := l.exec(t.Context(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := l.exec(ctx, "true"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("exec = %v, want its own deadline", err)
	}
	var wg sync.WaitGroup
	for range 3 { // all wait no longer than one
		wg.Go(func() {
			_, err := l.exec(t.Context(), "true")
			if !errors.Is(err, ErrFull) || errors.Is(err, ErrNeedsAuth) || errors.Is(err, ErrAuth) || errors.Is(err, ErrLinkLost) {
				t.Errorf("exec = %v, want ErrFull alone", err)
				return
			}
			if !strings.Contains(err.Error(), "the host asks for a password") {
				t.Errorf("%q does not say why", err)
			}
			checkWords(t, err, "MaxSessions", "MaxSessions")
		})
	}
	wg.Wait()
	if n := dials.Load(); n != 1 || l.Err() != nil {
		t.Errorf("%d failed logins; the link: %v", n, l.Err())
	}
	_ = long.Stdin().Close()
	if _, err := long.Wait(); err != nil {
		t.Fatal(err)
	}
	if out, _ := runCommand(t, l, "echo again"); out != "again\n" {
		t.Errorf("out = %q", out)
	}
}

// Who waits for room hears of the link's end.
func TestQueueEndsWithTheLink(t *testing.T) {
	t.Parallel()
	l, _ := fullLink(t, ErrUnreachable)
	long, err := l.exec(t.Context(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()
	waiting := make(chan error, 2)
	for range 2 {
		go func() { _, err := l.exec(t.Context(), "true"); waiting <- err }()
	}
	eventually(t, "one waits for room", func() bool { return len(l.queue) == 1 })
	l.members[0].conn.abort(errors.New("cut"))
	for range 2 {
		if err := <-waiting; !errors.Is(err, ErrLinkLost) {
			t.Errorf("exec = %v, want ErrLinkLost", err)
		}
	}
}
