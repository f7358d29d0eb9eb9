package sshserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/debugbroker/debugbroker/integration/sshserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const limit = 20 * time.Second

// serve starts a server for the length of the test and returns the configuration of a client that it lets in.
func serve(t *testing.T, fault sshserver.Fault) (*sshserver.Server, *ssh.ClientConfig) {
	t.Helper()
	key, err := sshserver.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s, err := sshserver.Listen(sshserver.Config{AuthorizedKey: key.PublicKey(), Fault: fault})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(limit):
			t.Error("Serve did not return")
		}
	})
	return s, &ssh.ClientConfig{User: "me", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.FixedHostKey(s.HostKey()), Timeout: limit}
}

func dial(t *testing.T, fault sshserver.Fault) (*ssh.Client, error) {
	t.Helper()
	s, cfg := serve(t, fault)
	conn, err := net.DialTimeout("tcp", s.Addr().String(), limit)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	// The whole test is bounded by this one deadline.
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	c, chans, reqs, err := ssh.NewClientConn(conn, s.Addr().String(), cfg)
	if err != nil {
		return nil, err
	}
	client := ssh.NewClient(c, chans, reqs)
	t.Cleanup(func() { client.Close(); client.Wait() })
	return client, nil
}

func mustDial(t *testing.T, fault sshserver.Fault) *ssh.Client {
	t.Helper()
	c, err := dial(t, fault)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func session(t *testing.T, c *ssh.Client) *ssh.Session {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestExec(t *testing.T) {
	tests := []struct {
		name, command, stdin, stdout, stderr string
		code                                 int
		signal                               string
	}{
		{name: "output", command: "echo out; echo err >&2", stdout: "out\n", stderr: "err\n"},
		{name: "status", command: "exit 7", code: 7},
		{name: "signal", command: "kill -TERM $$", signal: "TERM"},
		{name: "stdin ends", command: "cat; echo end", stdin: "a\x00b", stdout: "a\x00bend\n"},
		{name: "own session", command: `test "$(ps -o sid= -p $$ | tr -d ' ')" = $$ && echo leader`, stdout: "leader\n"},
	}
	c := mustDial(t, sshserver.NoFault)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, c)
			var stdout, stderr strings.Builder
			s.Stdin, s.Stdout, s.Stderr = strings.NewReader(tt.stdin), &stdout, &stderr
			err := s.Run(tt.command)
			code, signal := 0, ""
			if ee := new(ssh.ExitError); errors.As(err, &ee) {
				code, signal, err = ee.ExitStatus(), ee.Signal(), nil
			}
			if tt.signal != "" {
				code = 0 // the client makes one up
			}
			if err != nil || stdout.String() != tt.stdout || stderr.String() != tt.stderr || code != tt.code || signal != tt.signal {
				t.Errorf("%q, %q, code %d, signal %q, %v", stdout.String(), stderr.String(), code, signal, err)
			}
		})
	}
}

func TestAnEndedConnectionEndsStdinAndNothingElse(t *testing.T) {
	c := mustDial(t, sshserver.NoFault)
	s := session(t, c)
	file := filepath.Join(t.TempDir(), "seen")
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// A fifo tells when the command has seen the end, without polling.
	fifo := file + ".fifo"
	if err := s.Start("mkfifo " + fifo + "; echo up; cat >/dev/null; echo end >" + fifo); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	_ = in
	c.Close()
	f, err := os.OpenFile(fifo, os.O_RDWR, 0) // O_RDWR does not wait for a writer
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4)
	if _, err := io.ReadFull(f, buf); err != nil || string(buf) != "end\n" {
		t.Errorf("the command wrote %q, %v", buf, err)
	}
}

func TestForwards(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unix" {
				dir, err := os.MkdirTemp("", "ss")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.RemoveAll(dir) })
				address = filepath.Join(dir, "s")
			}
			l, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			echoed := make(chan error, 1)
			go func() {
				c, err := l.Accept()
				if err == nil {
					defer c.Close()
					_, err = io.Copy(c, c)
				}
				echoed <- err
			}()
			conn, err := mustDial(t, sshserver.NoFault).Dial(network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "hello"); err != nil {
				t.Fatal(err)
			}
			if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			if err != nil || string(got) != "hello" {
				t.Errorf("echo: %q, %v", got, err)
			}
			if err := <-echoed; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name             string
		fault            sshserver.Fault
		network, address string
		want             ssh.RejectionReason
	}{
		{"beyond loopback", sshserver.NoFault, "tcp", "192.0.2.1:80", ssh.Prohibited},
		{"tcp off", sshserver.RefuseTCP, "tcp", "127.0.0.1:80", ssh.Prohibited},
		{"unix off", sshserver.RefuseStreamLocal, "unix", "/nowhere", ssh.Prohibited},
		{"nobody there", sshserver.NoFault, "unix", "/nowhere", ssh.ConnectionFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mustDial(t, tt.fault).Dial(tt.network, tt.address)
			if oe := new(ssh.OpenChannelError); !errors.As(err, &oe) || oe.Reason != tt.want {
				t.Errorf("got %v, want reason %v", err, tt.want)
			}
		})
	}
}

func TestKeepaliveIsAnswered(t *testing.T) {
	if _, _, err := mustDial(t, sshserver.NoFault).SendRequest("keepalive@openssh.com", true, nil); err != nil {
		t.Error(err)
	}
}

func TestAnotherKeyIsRefused(t *testing.T) {
	s, cfg := serve(t, sshserver.NoFault)
	other, err := sshserver.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Auth = []ssh.AuthMethod{ssh.PublicKeys(other)}
	if c, err := ssh.Dial("tcp", s.Addr().String(), cfg); err == nil {
		c.Close()
		t.Error("let in")
	}
}

func TestFaults(t *testing.T) {
	t.Run("close at once", func(t *testing.T) {
		if _, err := dial(t, sshserver.CloseAtOnce); err == nil {
			t.Error("the handshake went through")
		}
	})
	t.Run("silent", func(t *testing.T) {
		s, cfg := serve(t, sshserver.Silent)
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
		if _, _, _, err := ssh.NewClientConn(conn, "", cfg); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want a timeout", err)
		}
	})
	t.Run("close after auth", func(t *testing.T) {
		c, err := dial(t, sshserver.CloseAfterAuth)
		if err == nil {
			err = c.Wait()
		}
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want a closed connection", err)
		}
	})
	t.Run("close in exec", func(t *testing.T) {
		if err := session(t, mustDial(t, sshserver.CloseInExec)).Run("true"); err == nil {
			t.Error("the command ran")
		}
	})
	t.Run("hang global", func(t *testing.T) {
		c := mustDial(t, sshserver.HangGlobal)
		answered := make(chan error, 1)
		go func() { _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); answered <- err }()
		if err := session(t, c).Run("true"); err != nil {
			t.Error(err)
		}
		select {
		case err := <-answered:
			t.Errorf("the request was answered: %v", err)
		default:
		}
		c.Close()
		<-answered
	})
	t.Run("hang exec", func(t *testing.T) {
		s := session(t, mustDial(t, sshserver.HangExec))
		ended := make(chan error, 1)
		go func() { ended <- s.Run("true") }()
		select {
		case err := <-ended:
			t.Errorf("the request was answered: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
		s.Close()
		<-ended
	})
}
