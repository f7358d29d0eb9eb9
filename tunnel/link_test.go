package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
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

func TestDialThrough(t *testing.T) {
	_, hop := testBox(t)
	l := dialLink(t, hop)
	sock := filepath.Join(shortDir(t), "s")
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			address := map[string]string{"tcp": "127.0.0.1:0", "unix": sock}[network]
			far, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer far.Close()
			near, err := l.dial(t.Context(), network, far.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer near.Close()
			peer, err := far.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			checkStream(t, near, peer)
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		_, err := l.dial(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", freePort(t)))
		if !errors.Is(err, ErrFarDial) || errors.Is(err, ErrUnreachable) {
			t.Errorf("dial = %v, want ErrFarDial", err)
		}
		if _, err := l.dial(t.Context(), "unix", "/no/such/socket"); !errors.Is(err, ErrFarDial) {
			t.Errorf("dial = %v, want ErrFarDial", err)
		}
	})
	t.Run("no such network", func(t *testing.T) {
		if _, err := l.dial(t.Context(), "udp", "127.0.0.1:1"); err == nil {
			t.Error("dialled udp")
		}
	})
}

// checkStream holds a stream against what a net.Conn does.
func checkStream(t *testing.T, near, peer net.Conn) {
	t.Helper()
	sent := make([]byte, 300<<10)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = peer.Write(sent) })
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(near, got); err != nil || string(got) != string(sent) {
		t.Fatalf("read: %v, or other bytes", err)
	}
	wg.Wait()

	_ = near.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := near.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read past its deadline = %v", err)
	}
	_ = near.SetReadDeadline(time.Time{})
	interrupted := make(chan error, 1)
	wg.Go(func() { _, err := near.Read(make([]byte, 1)); interrupted <- err })
	_ = near.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if err := <-interrupted; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("interrupted read = %v", err)
	}
	wg.Wait()
	_ = near.SetDeadline(time.Now().Add(time.Minute))
	wg.Go(func() { _, _ = near.Write(sent) })
	if _, err := io.ReadFull(peer, got); err != nil || string(got) != string(sent) {
		t.Fatalf("write with a deadline: %v, or other bytes", err)
	}
	wg.Wait()

	if err := near.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := peer.Read(got); n != 0 || err != io.EOF {
		t.Errorf("after CloseWrite the peer reads %d, %v", n, err)
	}
	if _, err := peer.Write([]byte("still here")); err != nil {
		t.Fatal(err)
	}
	_ = peer.Close()
	if rest, err := io.ReadAll(near); err != nil || string(rest) != "still here" {
		t.Errorf("rest = %q, %v", rest, err)
	}
	_ = near.Close()
	if _, err := near.Read(got); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after Close = %v", err)
	}
	if _, err := near.Write(got); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after Close = %v", err)
	}
}

// A write that nobody reads ends at its deadline, and the stream with it.
func TestWriteDeadline(t *testing.T) {
	_, hop := testBox(t)
	l := dialLink(t, hop)
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := l.dial(t.Context(), "tcp", far.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = near.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := near.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write = %v", err)
	}
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read = %v", err)
	}
	if out, _ := runCommand(t, l, "echo well"); out != "well\n" {
		t.Errorf("the link is not well: %q", out)
	}
}

func TestForwardingForbidden(t *testing.T) {
	_, hop := testBox(t, "AllowTcpForwarding no", "AllowStreamLocalForwarding no")
	l := dialLink(t, hop)
	_, err := l.dial(t.Context(), "tcp", "127.0.0.1:22")
	if !errors.Is(err, ErrForbidden) {
		t.Errorf("tcp: %v, want ErrForbidden", err)
	}
	checkWords(t, err, "prohibited", "AllowTcpForwarding")
	// sshd does not tell a socket that is forbidden from one that is not there.
	_, err = l.dial(t.Context(), "unix", "/tmp/x")
	if !errors.Is(err, ErrForbidden) && !errors.Is(err, ErrFarDial) {
		t.Errorf("unix: %v", err)
	}
	checkWords(t, err, "", "AllowStreamLocalForwarding")
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
	waitFor(t, "the further connections are closed", func() bool { l.retireIdle(time.Now().Add(2 * spareIdle)); return l.Conns() == 1 })
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
	server.killConnections()
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
	hole := newRelay(t, server.addr())
	writeFile(t, hop.UserKnownHostsFiles[0], strings.Replace(server.knownLine(), fmt.Sprint(server.port), fmt.Sprint(hole.port()), 1))
	hop.Port = hole.port()
	hop.ServerAliveInterval, hop.ServerAliveCountMax = 200*time.Millisecond, 2
	l := dialLink(t, hop)
	ch, err := l.exec(t.Context(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a measured round trip", func() bool { return l.RTT() > 0 })
	hole.swallow()
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

// A connection that carries much is not given up because an answer queues behind the data.
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

// waitFor waits for a condition that nothing announces.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 15 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
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
