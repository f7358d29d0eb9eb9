package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/freeport"
	"golang.org/x/crypto/ssh"
)

// testBox is an sshd with a key that opens it.
func testBox(t testing.TB, lines ...string) (*testSSHD, Hop) {
	t.Helper()
	id := filepath.Join(t.TempDir(), "id")
	server := startSSHD(t, []ssh.PublicKey{newKey(t, "ed25519", id, "").PublicKey()}, lines...)
	return server, server.hop(t, id)
}

func TestDialFailures(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, never speaks
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	chatty := serveOnce(t, "HTTP/1.1 400 Bad Request\r\n\r\n")
	tests := []struct {
		name string
		hop  Hop
		want error
		says string
		hint string
	}{
		{"refused", Hop{HostName: "127.0.0.1", Port: freeport.On127(t)}, ErrUnreachable, "connection refused", "sshd"},
		{"no such name", Hop{HostName: "no-such-host.invalid"}, ErrHostUnresolvable, "no-such-host.invalid", "HostName"},
		{"never speaks", Hop{HostName: "127.0.0.1", Port: mute.Addr().(*net.TCPAddr).Port, ConnectTimeout: 200 * time.Millisecond},
			ErrUnreachable, "no answer within 200ms", "no SSH server speaks"},
		{"speaks something else", Hop{HostName: "127.0.0.1", Port: chatty}, ErrUnreachable, "handshake", "a web server answers"},
		{"wrong address family", Hop{HostName: "127.0.0.1", AddressFamily: "inet6"}, nil, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := dialOnce(t.Context(), []Hop{test.hop}, Caller{})
			if err == nil {
				t.Fatal("Dial succeeded")
			}
			if test.want == nil {
				return
			}
			if !errors.Is(err, test.want) {
				t.Fatalf("Dial = %v, want %v", err, test.want)
			}
			checkWords(t, err, test.says, test.hint)
			for _, words := range []string{"dial tcp", "lookup ", "ssh:", "connect: "} {
				if strings.Contains(err.Error(), words) {
					t.Errorf("%q has a library's words in it: %q", err, words)
				}
			}
		})
	}
	t.Run("no hop", func(t *testing.T) {
		if err := dialOnce(t.Context(), nil, Caller{}); !errors.Is(err, ErrHostUnresolvable) {
			t.Fatalf("Dial = %v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { cancel(errors.New("enough")) })
		err := dialOnce(ctx, []Hop{{HostName: "127.0.0.1", Port: mute.Addr().(*net.TCPAddr).Port}}, Caller{})
		if err == nil || !strings.Contains(err.Error(), "enough") {
			t.Fatalf("Dial = %v", err)
		}
	})
}

// serveOnce answers one connection with text and hangs up.
func serveOnce(t *testing.T, text string) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(c, text)
		_ = c.Close()
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().(*net.TCPAddr).Port
}

// A server that falls silent in the middle of the handshake is as bad as one that never speaks.
func TestSilenceInHandshake(t *testing.T) {
	server, hop := testBox(t)
	hole, hop := behindCutter(t, server, hop)
	hole.BlackHole()
	hop.ConnectTimeout = 300 * time.Millisecond
	began := time.Now()
	if err := dialOnce(t.Context(), []Hop{hop}, Caller{}); !errors.Is(err, ErrUnreachable) {
		t.Fatalf("Dial = %v, want ErrUnreachable", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestProxyJump(t *testing.T) {
	jump, jumpHop := testBox(t)
	_, farHop := testBox(t)
	jumpHop.Alias, farHop.Alias = "bastion", "inner"
	var progress []string
	conn, err := (&Dialer{}).Dial(t.Context(), NewTarget([]Hop{jumpHop, farHop}), Caller{}, func(s string) { progress = append(progress, s) })
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	out, exit := runCommand(t, newTestLink(t, conn), "echo $SSH_CONNECTION")
	if want := fmt.Sprintf("127.0.0.1 %d", farHop.Port); !strings.HasSuffix(strings.TrimSpace(out), want) || exit != (Exit{}) {
		t.Errorf("the command ran at %q, %+v, want %q", out, exit, want)
	}
	want := []string{"connecting to bastion", "authenticating to bastion as " + jumpHop.User,
		"connecting to inner", "authenticating to inner as " + farHop.User}
	if strings.Join(progress, "|") != strings.Join(want, "|") {
		t.Errorf("progress %q, want %q", progress, want)
	}
	jump.KillConnections()
	select {
	case <-conn.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the loss of the jump host is not noticed")
	}
	if !errors.Is(conn.Err(), ErrLinkLost) {
		t.Errorf("Err = %v", conn.Err())
	}

	t.Run("inner refuses", func(t *testing.T) {
		closed := farHop
		closed.Port = freeport.On127(t)
		err := dialOnce(t.Context(), []Hop{jumpHop, closed}, Caller{})
		if !errors.Is(err, ErrUnreachable) {
			t.Fatalf("Dial = %v", err)
		}
		checkWords(t, err, "connect inner", "bastion cannot reach it")
	})
	t.Run("inner key unknown", func(t *testing.T) {
		stranger := farHop
		stranger.UserKnownHostsFiles = nil
		if err := dialOnce(t.Context(), []Hop{jumpHop, stranger}, Caller{}); !errors.Is(err, ErrHostKey) {
			t.Fatalf("Dial = %v", err)
		}
	})
	t.Run("bastion forbids", func(t *testing.T) {
		_, shut := testBox(t, "AllowTcpForwarding no")
		err := dialOnce(t.Context(), []Hop{shut, farHop}, Caller{})
		if !errors.Is(err, ErrUnreachable) || !errors.Is(err, ErrForbidden) {
			t.Fatalf("Dial = %v", err)
		}
		checkWords(t, err, "", "AllowTcpForwarding")
	})
}

func TestSetEnv(t *testing.T) {
	_, hop := testBox(t, "AcceptEnv GREETING EMPTY")
	hop.SetEnv = []string{"GREETING=a  b=c; $(id) 'd'", "EMPTY=", "REFUSED=x"}
	conn, err := (&Dialer{}).Dial(t.Context(), NewTarget([]Hop{hop}), Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	out, exit := runCommand(t, newTestLink(t, conn), `echo "$GREETING|${EMPTY-unset}|${REFUSED-unset}"`)
	if want := "a  b=c; $(id) 'd'||unset\n"; out != want || exit != (Exit{}) {
		t.Errorf("got %q, %+v, want %q", out, exit, want)
	}
}

func TestTargetKey(t *testing.T) {
	base := Hop{Alias: "a", HostName: "h", User: "u", IdentityFiles: []string{"/k"}}
	same, other := base, base
	same.Alias, same.Warnings = "b", []string{"w"}
	other.IdentitiesOnly = true
	if NewTarget([]Hop{base}).Key() != NewTarget([]Hop{same}).Key() {
		t.Error("two names of one host have different keys")
	}
	if NewTarget([]Hop{base}).Key() == NewTarget([]Hop{other}).Key() {
		t.Error("other keys to offer, and the same key")
	}
	target := NewTarget([]Hop{base, other})
	if want := "u@h:22 via u@h:22 #"; !strings.HasPrefix(target.Key(), want) {
		t.Errorf("Key = %q, want %q…", target.Key(), want)
	}
	target.Hops()[0].IdentityFiles[0] = "/changed"
	if target.Hops()[0].IdentityFiles[0] != "/k" {
		t.Error("a target can be changed from outside")
	}
}
