package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

const (
	// childTimeout bounds the wait for what a child announces.
	childTimeout = 60 * time.Second
	stopTimeout  = 5 * time.Second
)

// child is a process that we started by hand, as a user without a broker would.
type child struct {
	b      testing.TB
	cmd    *exec.Cmd
	in     io.Writer
	said   said
	exited chan struct{}
	once   sync.Once
}

// start starts a program with extra environment (K=V), and a standard input that stays open. It is stopped when the benchmark ends, if not before.
func start(b testing.TB, env []string, argv ...string) *child {
	b.Helper()
	c := &child{b: b, cmd: exec.Command(argv[0], argv[1:]...), said: said{changed: make(chan struct{})}, exited: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Stdout, c.cmd.Stderr = &c.said, &c.said
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.WaitDelay = stopTimeout // what the child leaves behind may hold its output
	in, err := c.cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	c.in = in
	if err := c.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	go func() {
		defer close(c.exited)
		_ = c.cmd.Wait()
	}()
	b.Cleanup(c.stop)
	return c
}

// await waits until the child has printed a line that matches and returns the groups.
func (c *child) await(re *regexp.Regexp) []string {
	c.b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), childTimeout)
	defer cancel()
	for {
		text, changed := c.said.get()
		if m := re.FindStringSubmatch(text); m != nil {
			return m
		}
		select {
		case <-changed:
		case <-c.exited:
			c.b.Fatalf("%s ended (%s) before it printed %s:\n%s", c.cmd.Path, c.cmd.ProcessState, re, text)
		case <-ctx.Done():
			c.b.Fatalf("%s did not print %s:\n%s", c.cmd.Path, re, text)
		}
	}
}

// stop asks the child's process group to end, and insists.
func (c *child) stop() {
	c.once.Do(func() {
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-c.exited:
			return
		case <-time.After(stopTimeout):
		}
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		<-c.exited
	})
}

// said is what a child printed, for one goroutine that writes and one that waits.
type said struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	close(s.changed)
	s.changed = make(chan struct{})
	return len(p), nil
}

func (s *said) get() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String(), s.changed
}

var _ io.Writer = (*said)(nil)

// sshReady is what ssh prints as its LocalCommand, which it runs when its forwards are in place.
var sshReady = regexp.MustCompile(`(?m)^forward is up$`)

// forward runs `ssh -N -L` to a port of the server's loopback and returns the local address.
func forward(b testing.TB, s *sshd.Server, ssh string, port int) (*child, string) {
	b.Helper()
	local := freeport.On127(b)
	c := start(b, nil, ssh, "-F", s.ConfigFile(), "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes",
		"-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo forward is up",
		"-N", "-L", fmt.Sprintf("%d:127.0.0.1:%d", local, port), sshd.Alias)
	c.await(sshReady)
	return c, "127.0.0.1:" + strconv.Itoa(local)
}
