package tunnel

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
)

// plainSSH is the least that a carrier over the real sshd can be: no pool, no keepalive. What is tested is what sshd makes of our
// channels.
type plainSSH struct {
	client *ssh.Client
	gone   chan struct{}
}

func (c *plainSSH) done() <-chan struct{} { return c.gone }
func (c *plainSSH) err() error            { return nil }
func (c *plainSSH) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return c.client.DialContext(ctx, network, address)
}

func (c *plainSSH) exec(ctx context.Context, command string) (channel, error) {
	s, err := c.client.NewSession()
	if err != nil {
		return nil, err
	}
	in, err1 := s.StdinPipe()
	out, err2 := s.StdoutPipe()
	errOut, err3 := s.StderrPipe()
	if err := errors.Join(err1, err2, err3, s.Start(command)); err != nil {
		s.Close()
		return nil, err
	}
	return &plainChannel{s, in, out, errOut}, nil
}

type plainChannel struct {
	session *ssh.Session
	in      io.WriteCloser
	out     io.Reader
	errOut  io.Reader
}

func (c *plainChannel) Stdin() io.WriteCloser { return c.in }
func (c *plainChannel) Stdout() io.Reader     { return c.out }
func (c *plainChannel) Stderr() io.Reader     { return c.errOut }
func (c *plainChannel) Close() error          { return c.session.Close() }

func (c *plainChannel) Wait() (Exit, error) {
	err := c.session.Wait()
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return Exit{}, nil
	case errors.As(err, &exit) && exit.Signal() != "":
		return Exit{Signal: exit.Signal()}, nil
	case errors.As(err, &exit):
		return Exit{Code: exit.ExitStatus()}, nil
	}
	return Exit{}, fmt.Errorf("%w: %w", ErrLinkLost, err)
}

// shellSSHD runs an sshd whose users have a login shell of our choice: ForceCommand does what a login shell would, without an
// account for it. It gives a function that connects.
func shellSSHD(t *testing.T, force string) func() *plainSSH {
	t.Helper()
	bin := "/usr/sbin/sshd"
	if _, err := os.Stat(bin); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sshd is not installed: apt install openssh-server")
		}
		t.Skip("sshd is not installed: apt install openssh-server")
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	for name, text := range map[string]string{
		"key":        string(pem.EncodeToMemory(block)), // of the host and of the user
		"authorized": string(ssh.MarshalAuthorizedKey(signer.PublicKey())),
		"config": strings.Join([]string{
			"ListenAddress " + addr, "HostKey " + dir + "/key", "AuthorizedKeysFile " + dir + "/authorized", "StrictModes no",
			"UsePAM no", "PidFile none", "PermitRootLogin yes", "PasswordAuthentication no", "MaxSessions 100",
			"SetEnv SHLVL=5", // bash under sshd reads ~/.bashrc unless it is nested: keep the user's own out of the test
			"ForceCommand " + force,
		}, "\n") + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(bin, "-D", "-e", "-f", dir+"/config")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Server listening") {
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		io.Copy(io.Discard, log)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-drained // its children hold it, until their connections end
		cmd.Wait()
	})
	current, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return func() *plainSSH {
		config := &ssh.ClientConfig{
			User: current.Username, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
			HostKeyCallback: ssh.FixedHostKey(signer.PublicKey()), Timeout: 10 * time.Second,
		}
		client, err := ssh.Dial("tcp", addr, config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return &plainSSH{client: client, gone: make(chan struct{})}
	}
}

func TestOverSSHD(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	connect := shellSSHD(t, `exec `+findShell(t, "fish")+` -c "$SSH_ORIGINAL_COMMAND"`)
	testHost(t, newShellHost("box", connect(), nil, func() {}))
}

func TestLoginShellsOverSSHD(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	for _, name := range loginShells {
		t.Run(name, func(t *testing.T) {
			connect := shellSSHD(t, `echo noise; printf noise >&2; exec `+findShell(t, name)+` -c "$SSH_ORIGINAL_COMMAND"`)
			h := newShellHost("box", connect(), nil, func() {})
			t.Run("words", func(t *testing.T) { suiteWords(t, h) })
			t.Run("exits", func(t *testing.T) { suiteExits(t, h) })
			t.Run("normal end", func(t *testing.T) { suiteNormalEnd(t, h) })
		})
	}
}

// TestLinkLostOverSSHD: the connection ends, and with it everything that was started over it.
func TestLinkLostOverSSHD(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	connect := shellSSHD(t, `sh -c "$SSH_ORIGINAL_COMMAND"`)
	conn := connect()
	h := newShellHost("box", conn, nil, func() {})
	ws := suiteDir(t, newShellHost("box", connect(), nil, func() {}))
	p := suiteSh(t, h, ws, "trap '' TERM; (trap '' TERM; sleep 1000) & echo $!; while :; do sleep 1; done")
	child := identify(t, linePID(t, p.Stdout()))
	if !runs(p.ID()) || !runs(child) {
		t.Fatal("it does not run")
	}
	conn.client.Close()
	if exit, err := p.Wait(suiteContext(t)); !errors.Is(err, ErrLinkLost) {
		t.Errorf("%v, %v", exit, err)
	}
	eventually(t, "everything is gone", func() bool {
		return !runs(p.ID()) && !runs(child) && !exists(ws) && len(members(p.ID().PID)) == 0
	})
}
