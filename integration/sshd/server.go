package sshd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/tools"
)

const (
	// startTimeout bounds the start of sshd on a loaded machine.
	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
)

// listening is what sshd logs once it accepts connections. Nothing else tells: it has no readiness protocol.
var listening = regexp.MustCompile(`(?m)^Server listening on [0-9a-f.:]+ port \d+`)

// Server is a running sshd.
type Server struct {
	t       testing.TB
	opts    Options
	dir     string
	port    int
	tempDir string

	log   logBuffer
	proc  *process    // nil while stopped
	hosts []hostEntry // of the ssh_config
}

// process is one life of sshd.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once sshd has been waited for
	read   chan struct{} // closed once the log has been read to its end
}

// New starts a server. It is stopped when the test ends, and its log is printed if the test failed.
func New(t testing.TB, opts Options) *Server {
	t.Helper()
	if opts.Alias == "" {
		opts.Alias = Alias
	}
	if opts.Address == "" {
		opts.Address = "127.0.0.1"
	}
	s := &Server{t: t, opts: opts, dir: t.TempDir()}
	s.makeTempDir()
	s.makeHome()
	s.writeKeys()
	bin := tools.Need(t, tools.Sshd)
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatalf("make sshd's privilege separation directory: %v", err)
		}
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("log of sshd %q:\n%s", opts.Alias, s.Log())
		}
	})
	// A port that was free a moment ago may be taken by the time sshd binds it.
	var err error
	for range 5 {
		s.port = freeport.On127(t)
		s.writeConfig()
		if err = s.start(bin); err == nil {
			break
		}
		t.Logf("start sshd on port %d: %v", s.port, err)
	}
	if err != nil {
		t.Fatalf("start sshd: %v\n%s", err, s.Log())
	}
	s.TrustAt(s.opts.Address, s.port)
	s.addOwnHost()
	return s
}

// Port is where it listens.
func (s *Server) Port() int { return s.port }

// Addr is host:port.
func (s *Server) Addr() string { return net.JoinHostPort(s.opts.Address, strconv.Itoa(s.port)) }

// Log is what sshd has logged so far.
func (s *Server) Log() string { return s.log.String() }

// Start starts a stopped server on the same port.
func (s *Server) Start() {
	s.t.Helper()
	if s.proc != nil {
		return
	}
	if err := s.start(tools.Need(s.t, tools.Sshd)); err != nil {
		s.t.Fatalf("start sshd again: %v\n%s", err, s.Log())
	}
}

// Stop ends the server and its connections and waits for both. What was started over them is left alone, as a real sshd leaves it.
func (s *Server) Stop() {
	s.t.Helper()
	p := s.proc
	if p == nil {
		return
	}
	s.proc = nil
	connections := s.connections(p)
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("stop sshd: %v", err)
	}
	kill(connections)
	for _, c := range []<-chan struct{}{p.exited, p.read} {
		select {
		case <-c:
		case <-time.After(stopTimeout):
			s.t.Errorf("sshd or a child of it is still there %s after it was killed", stopTimeout)
		}
	}
}

// KillConnections cuts every SSH connection to the server by killing the sshd processes that serve them, and tells how many it
// killed. The server accepts new connections.
func (s *Server) KillConnections() int {
	s.t.Helper()
	if s.proc == nil {
		return 0
	}
	pids := s.connections(s.proc)
	kill(pids)
	return len(pids)
}

func (s *Server) start(bin string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	argv := []string{bin, "-D", "-e", "-f", filepath.Join(s.dir, "sshd_config")}
	if s.opts.Private != "" {
		argv = append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-c", "set -e\n" + s.opts.Private + "\nexec \"$@\"", "sh"}, argv...)
	}
	argv = slices.Concat(s.opts.Within, argv)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = w
	cmd.Dir = s.dir
	// A process group of its own keeps a terminal's Ctrl-C from it: the test's clean-up ends it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return errors.Join(err, w.Close(), r.Close())
	}
	w.Close()
	p := &process{cmd: cmd, exited: make(chan struct{}), read: make(chan struct{})}
	up := make(chan struct{})
	go func() {
		defer close(p.read)
		defer r.Close()
		s.readLog(r, up)
	}()
	var werr error
	go func() {
		defer close(p.exited)
		werr = cmd.Wait()
	}()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	select {
	case <-up:
		s.proc = p
		return nil
	case <-p.exited:
		<-p.read
		return fmt.Errorf("sshd ended: %w", werr)
	case <-ctx.Done():
		cmd.Process.Kill()
		<-p.exited
		<-p.read
		return ctx.Err()
	}
}

// readLog reads until every holder of the other end has closed it, and closes up at sshd's announcement.
func (s *Server) readLog(r io.Reader, up chan<- struct{}) {
	var line []byte // since the start, until the announcement was seen
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		s.log.Write(buf[:n])
		if up != nil {
			line = append(line, buf[:n]...)
			if listening.Match(bytes.ReplaceAll(line, []byte("\r"), nil)) {
				close(up)
				up = nil
			}
		}
		if err != nil {
			return
		}
	}
}

// logBuffer is a bytes.Buffer for two goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
