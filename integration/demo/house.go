package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/debugbroker/debugbroker/integration/sandbox"
	"github.com/debugbroker/debugbroker/integration/sshserver"
)

const (
	// host is the remote's name in the demo's ssh configuration.
	host = "demo"
	// closeTimeout bounds the clean-up; it must work when the demo's own context is over.
	closeTimeout = 60 * time.Second
)

// house is everything that the demo stands on. Its goroutine is the SSH server, which close waits for.
type house struct {
	root  string // of the module
	dir   string // of the demo; short, there are sockets below it
	temp  string // TMPDIR of everything "remote"
	mark  string
	env   []string
	stock *sandbox.Stock // nil where processes cannot be found

	stopServer context.CancelFunc
	served     chan error
}

func newHouse(ctx context.Context, n narrator) (_ *house, err error) {
	dir, err := os.MkdirTemp("/tmp", "bd-")
	if err != nil {
		return nil, err
	}
	h := &house{dir: dir, temp: filepath.Join(dir, "t"), mark: filepath.Base(dir), stopServer: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close(n))
		}
	}()
	if err := os.Mkdir(h.temp, 0o700); err != nil {
		return nil, err
	}
	gomod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	h.root = filepath.Dir(strings.TrimSpace(string(gomod)))
	h.env, err = sandbox.Environ(ctx, os.Environ(), sandbox.Paths{
		StateDir: h.path("state"), Config: h.path("config.toml"), SSHConfig: h.path("ssh_config"),
		XDG: h.path("xdg"), Temp: h.temp, Mark: h.mark,
	})
	if err != nil {
		return nil, err
	}

	n.step("Building brokerd (the daemon) and brokerctl (the command). The first time this takes a while.")
	n.command("go", "build", "./cmd/brokerd", "./cmd/brokerctl")
	for _, name := range []string{"brokerd", "brokerctl"} {
		if err := h.build(ctx, name, "./cmd/"+name); err != nil {
			return nil, err
		}
	}

	n.step("Starting an SSH server inside this process, with fresh keys, and writing an ssh configuration for it.")
	if err := h.serve(ctx); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(h.path("ssh_config"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		n.show("%s", strings.TrimRight(line, "\n"))
	}
	h.stock, err = sandbox.Take(h.mark, h.temp, h.isOurs)
	if errors.Is(err, sandbox.ErrNoProc) {
		err = nil
	}
	return h, err
}

func (h *house) path(name string) string { return filepath.Join(h.dir, name) }

// isOurs tells the daemon and the command from what they start: the daemon stays until the demo's end.
func (h *house) isOurs(p sandbox.Process) bool { return filepath.Dir(p.Exe) == h.dir }

// build builds a package of the module into the demo's directory.
func (h *house) build(ctx context.Context, name, pkg string, flags ...string) error {
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build"}, flags...), "-o", h.path(name), pkg)...)
	cmd.Dir = h.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return nil
}

// serve starts the SSH server and writes what a client needs to reach it.
func (h *house) serve(ctx context.Context) error {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	key, err := ssh.NewSignerFromKey(priv)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(priv, "debugbroker demo")
	if err != nil {
		return err
	}
	s, err := sshserver.Listen(sshserver.Config{AuthorizedKey: key.PublicKey(), Env: h.env})
	if err != nil {
		return err
	}
	// The server outlives ctx: the daemon still needs it to clean up after a Ctrl-C.
	serverCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stopServer, h.served = stop, make(chan error, 1)
	go func() { h.served <- s.Serve(serverCtx) }()

	config := fmt.Sprintf(`Host %s
  HostName 127.0.0.1
  Port %d
  IdentityFile %s
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile %s
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
`, host, s.Addr().Port, h.path("key"), h.path("known_hosts"))
	for name, text := range map[string]string{
		"ssh_config":  config,
		"key":         string(pem.EncodeToMemory(block)),
		"known_hosts": knownhosts.Line([]string{s.Addr().String()}, s.HostKey()) + "\n",
		"config.toml": "",
	} {
		if err := os.WriteFile(h.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// brokerctl runs the command and returns its standard output. Cancelling ctx interrupts it as Ctrl-C does, so that it cleans up.
func (h *house) brokerctl(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, h.path("brokerctl"), args...)
	cmd.Env = h.env
	cmd.Dir = h.root
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches it through us, once
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = closeTimeout / 2
	out, err := cmd.Output()
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		return out, fmt.Errorf("brokerctl %s: %w\n%s%s", args[0], err, out, ee.Stderr)
	}
	return out, err
}

// close ends the daemon and the server and removes the directory. It reports what was left, and the daemon's log if it would not end.
func (h *house) close(n narrator) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	if _, err := os.Stat(h.path("state")); err == nil {
		n.step("Stopping the daemon, the SSH server, and removing %s.", h.dir)
		n.command("brokerctl", "stop")
		if _, err := h.brokerctl(ctx, "stop"); err != nil {
			errs = append(errs, err, h.daemonLog())
		}
	}
	h.stopServer()
	if h.served != nil {
		select {
		case err := <-h.served:
			errs = append(errs, err)
		case <-ctx.Done():
			errs = append(errs, errors.New("the SSH server did not end"))
		}
	}
	errs = append(errs, h.endStrays(ctx), os.RemoveAll(h.dir))
	return errors.Join(errs...)
}

// endStrays ends what still bears the demo's mark, and says so: there should be nothing.
func (h *house) endStrays(ctx context.Context) error {
	var all []sandbox.Process
	var err error
	gone := func() bool {
		all, err = sandbox.Marked(h.mark)
		return err != nil || len(all) == 0
	}
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if sandbox.Await(short, gone); errors.Is(err, sandbox.ErrNoProc) {
		return nil
	}
	errs := []error{err}
	for _, p := range all {
		errs = append(errs, fmt.Errorf("still running at the end: %s", p))
		_ = syscall.Kill(p.PID, syscall.SIGTERM) // an error says that it has ended
	}
	return errors.Join(errs...)
}

func (h *house) daemonLog() error {
	text, err := os.ReadFile(h.path("state/brokerd.log"))
	if err != nil {
		return err
	}
	return fmt.Errorf("brokerd.log:\n%s", text)
}
