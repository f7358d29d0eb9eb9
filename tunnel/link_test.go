package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// newTestLink runs a link on a connection until the test ends.
func newTestLink(t testing.TB, conn *Conn) *Link {
	t.Helper()
	return runLink(t, newLink(conn, Hop{}, func(context.Context) (*Conn, error) { return nil, ErrUnreachable }, hclog.NewNullLogger()))
}

func runLink(t testing.TB, l *Link) *Link {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return l
}

// dialLink makes a running link to a hop.
func dialLink(t testing.TB, hop Hop) *Link {
	t.Helper()
	dial := func(ctx context.Context) (*Conn, error) {
		return (&Dialer{}).Dial(ctx, NewTarget([]Hop{hop}), Caller{}, nil)
	}
	conn, err := dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return runLink(t, newLink(conn, hop, dial, hclog.NewNullLogger()))
}

func TestExec(t *testing.T) {
	_, hop := testBox(t)
	l := dialLink(t, hop)
	tests := []struct {
		line string
		out  string
		exit Exit
	}{
		{"exec /bin/sh -c 'echo hello; exit 3'", "hello\n", Exit{Code: 3}},
		{"true", "", Exit{}},
		{"exec /bin/sh -c 'kill -KILL $$'", "", Exit{Signal: "KILL"}},
		{"exec /bin/sh -c 'kill -TERM $$'", "", Exit{Signal: "TERM"}},
	}
	for _, test := range tests {
		if out, exit := runCommand(t, l, test.line); out != test.out || exit != test.exit {
			t.Errorf("%s: %q, %+v, want %q, %+v", test.line, out, exit, test.out, test.exit)
		}
	}
	ch, err := l.exec(t.Context(), "cat; echo end >&2")
	if err != nil {
		t.Fatal(err)
	}
	defer ch.Close()
	in := ch.Stdin()
	if _, err := io.WriteString(in, "over and back"); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	out, _ := io.ReadAll(ch.Stdout())
	stderr, _ := io.ReadAll(ch.Stderr())
	if string(out) != "over and back" || string(stderr) != "end\n" {
		t.Errorf("got %q and %q", out, stderr)
	}
}

func TestSpill(t *testing.T) {
	_, hop := testBox(t, "MaxSessions 2")
	l := dialLink(t, hop)
	const commands = 7
	var wg sync.WaitGroup
	channels := make([]channel, commands)
	errs := make([]error, commands)
	for i := range commands {
		wg.Go(func() { channels[i], errs[i] = l.exec(t.Context(), "cat") })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("command %d: %v", i, err)
		}
	}
	if n := l.Conns(); n != 4 {
		t.Errorf("%d commands use %d connections, want 4", commands, n)
	}
	for _, ch := range channels {
		_ = ch.Stdin().Close()
		if exit, err := ch.Wait(); err != nil || exit != (Exit{}) {
			t.Errorf("Wait = %+v, %v", exit, err)
		}
	}
	eventually(t, "the further connections are closed", func() bool { l.retireIdle(time.Now().Add(2 * spareIdle)); return l.Conns() == 1 })
	if err := l.Err(); err != nil {
		t.Errorf("closing them ended the link: %v", err)
	}
	if out, _ := runCommand(t, l, "echo again"); out != "again\n" {
		t.Errorf("out = %q", out)
	}
}

func TestNoSessionAtAll(t *testing.T) {
	_, hop := testBox(t, "MaxSessions 0")
	l := dialLink(t, hop)
	_, err := l.exec(t.Context(), "true")
	if !errors.Is(err, ErrForbidden) {
		t.Fatalf("exec = %v, want ErrForbidden", err)
	}
	checkWords(t, err, "", "MaxSessions")
	if l.Conns() != 1 {
		t.Errorf("it dialled %d connections", l.Conns())
	}
}

func TestLinkLoss(t *testing.T) {
	server, hop := testBox(t)
	l := dialLink(t, hop)
	ch, err := l.exec(t.Context(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	stream, err := l.dial(t.Context(), "tcp", far.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server.KillConnections()
	if _, err := io.ReadAll(ch.Stdout()); !errors.Is(err, ErrLinkLost) {
		t.Errorf("output = %v, want ErrLinkLost", err)
	}
	if _, err := ch.Wait(); !errors.Is(err, ErrLinkLost) {
		t.Errorf("Wait = %v, want ErrLinkLost", err)
	}
	if _, err := stream.Read(make([]byte, 1)); !errors.Is(err, ErrLinkLost) {
		t.Errorf("Read = %v, want ErrLinkLost", err)
	}
	select {
	case <-l.done():
	case <-time.After(10 * time.Second):
		t.Fatal("the link does not end")
	}
	if !errors.Is(l.err(), ErrLinkLost) {
		t.Errorf("err = %v", l.err())
	}
	if _, err := l.exec(t.Context(), "true"); !errors.Is(err, ErrLinkLost) {
		t.Errorf("exec = %v", err)
	}
	if _, err := l.dial(t.Context(), "tcp", "127.0.0.1:1"); !errors.Is(err, ErrLinkLost) {
		t.Errorf("dial = %v", err)
	}
}

func TestBlackHole(t *testing.T) {
	server, hop := testBox(t)
	hole, hop := behindCutter(t, server, hop)
	hop.ServerAliveInterval, hop.ServerAliveCountMax = 200*time.Millisecond, 2
	l := dialLink(t, hop)
	ch, err := l.exec(t.Context(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a measured round trip", func() bool { return l.RTT() > 0 })
	hole.BlackHole()
	began := time.Now()

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := l.exec(ctx, "true"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("exec into the hole = %v, want its deadline", err)
	}
	if _, err := ch.Wait(); !errors.Is(err, ErrLinkLost) {
		t.Errorf("Wait = %v, want ErrLinkLost", err)
	}
	<-l.Done()
	if took := time.Since(began); took < 300*time.Millisecond || took > 3*time.Second {
		t.Errorf("noticed after %s, want about 600 ms", took)
	}
}

func TestPing(t *testing.T) {
	_, hop := testBox(t)
	conn, err := (&Dialer{}).Dial(t.Context(), NewTarget([]Hop{hop}), Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if rtt, err := conn.Ping(t.Context()); err != nil || rtt <= 0 || rtt > 5*time.Second {
		t.Errorf("Ping = %s, %v", rtt, err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { _ = conn.Close() })
	}
	wg.Wait()
	if _, err := conn.Ping(t.Context()); !errors.Is(err, ErrLinkLost) {
		t.Errorf("Ping = %v, want ErrLinkLost", err)
	}
	if !errors.Is(conn.Err(), ErrLinkLost) {
		t.Errorf("Err = %v", conn.Err())
	}
}

func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
