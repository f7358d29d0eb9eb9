package adapters

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// limit bounds each wait of these tests.
const limit = 60 * time.Second

// needTool skips a test that needs a program which is not installed; in CI it fails.
func needTool(t *testing.T, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err == nil {
		return p
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// here is this machine as a Host.
func here(t *testing.T) Host {
	t.Helper()
	home, err := os.UserHomeDir()
	if err != nil {
		u, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		home = u.HomeDir
	}
	return Host{OS: "linux", Arch: "amd64", Home: home, Shell: "/bin/sh", Path: os.Getenv("PATH"), StreamLocal: true, HasProc: true}
}

// probed carries out an adapter's probes on this machine.
func probed(t *testing.T, a Adapter, req Request, shell string) Request {
	t.Helper()
	if err := a.Check(req); err != nil {
		t.Fatal(err)
	}
	req.Facts = map[string]string{}
	for _, q := range a.Probe(req) {
		cmd := exec.CommandContext(t.Context(), shell)
		cmd.Stdin = strings.NewReader(q.Script)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("probe %s: %v\n%s", q.Key, err, stderr.String())
		}
		if stderr.Len() > 0 {
			t.Errorf("probe %s printed on stderr: %s", q.Key, stderr.String())
		}
		req.Facts[q.Key] = string(out)
	}
	return req
}

// server is a plan carried out on this machine.
type server struct {
	t       *testing.T
	plan    Plan
	cmd     *exec.Cmd
	network string
	address string
	path    string
	started Started

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced at each line
	ended chan struct{}
}

// shortDir makes a directory whose path fits into a socket's address.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dbg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// carryOut starts what a plan says, waits until it is ready, and ends it with the test.
func carryOut(t *testing.T, plan Plan) *server {
	t.Helper()
	s := launchServer(t, plan)
	line, ok := s.await(func(l string) bool { return plan.Ready.Line.MatchString(l) })
	if !ok {
		t.Fatalf("no announcement; output:\n%s", s.output())
	}
	m := plan.Ready.Line.FindStringSubmatch(line)
	for i, name := range plan.Ready.Line.SubexpNames() {
		switch name {
		case "addr":
			if s.address == "" {
				s.address = m[i]
			}
		case "path":
			s.path = m[i]
		}
	}
	if plan.Started != nil {
		var err error
		if s.started, err = plan.Started(t.Context(), s.dial); err != nil {
			t.Fatalf("started: %v; output:\n%s", err, s.output())
		}
	}
	return s
}

// launchServer starts a plan's process and reads its output.
func launchServer(t *testing.T, plan Plan) *server {
	t.Helper()
	s := &server{t: t, plan: plan, network: plan.Network, address: plan.Address, more: make(chan struct{}), ended: make(chan struct{})}
	s.cmd = exec.Command(plan.Argv[0], plan.Argv[1:]...)
	s.cmd.Env = append(os.Environ(), plan.Env...)
	s.cmd.Dir = plan.Cwd
	if plan.ServerCwd != "" {
		s.cmd.Dir = plan.ServerCwd
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	r, w := io.Pipe()
	s.cmd.Stdout, s.cmd.Stderr = w, w
	s.cmd.WaitDelay = 5 * time.Second
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		scan := bufio.NewScanner(r)
		for scan.Scan() {
			s.mu.Lock()
			s.lines = append(s.lines, scan.Text())
			close(s.more)
			s.more = make(chan struct{})
			s.mu.Unlock()
		}
	})
	wg.Go(func() {
		_ = s.cmd.Wait()
		_ = w.Close()
		close(s.ended)
	})
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.ended:
		case <-time.After(5 * time.Second):
			t.Errorf("%s does not end on SIGTERM", plan.Argv[0])
			_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		}
		wg.Wait()
	})
	return s
}

func (s *server) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, s.network, s.address)
}

func (s *server) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// count tells how many lines match by now.
func (s *server) count(re *regexp.Regexp) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, l := range s.lines {
		if re.MatchString(l) {
			n++
		}
	}
	return n
}

// await waits for a line, among those that are there too. It gives up when the process has ended or the limit is over.
func (s *server) await(want func(string) bool) (string, bool) {
	deadline := time.After(limit)
	seen := 0
	for {
		s.mu.Lock()
		more, lines := s.more, s.lines[seen:]
		seen = len(s.lines)
		s.mu.Unlock()
		for _, l := range lines {
			if want(l) {
				return l, true
			}
		}
		select {
		case <-more:
		case <-s.ended:
			s.mu.Lock()
			left := s.lines[seen:]
			s.mu.Unlock()
			for _, l := range left {
				if want(l) {
					return l, true
				}
			}
			return "", false
		case <-deadline:
			return "", false
		}
	}
}

// goesOn waits for n further lines that match.
func (s *server) goesOn(re *regexp.Regexp, n int) {
	s.t.Helper()
	want := s.count(re) + n
	got := 0
	if _, ok := s.await(func(l string) bool {
		if re.MatchString(l) {
			got++
		}
		return got >= want
	}); !ok {
		s.t.Fatalf("the program does not go on; output:\n%s", s.output())
	}
}

// watched runs the plan's Watch and returns its answer.
func (s *server) watched() <-chan Exit {
	exit := make(chan Exit, 1)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	var wg sync.WaitGroup
	wg.Go(func() {
		e, err := s.plan.Watch(ctx, s.dial)
		if err == nil {
			exit <- e
		} else if !errors.Is(err, context.Canceled) {
			s.t.Logf("watch: %v", err)
		}
		close(exit)
	})
	s.t.Cleanup(func() { cancel(); wg.Wait() })
	return exit
}

func goTool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// goProgram builds a program of testdata for a debugger.
func goProgram(t *testing.T, name string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	goTool(t, "build", "-gcflags=all=-N -l", "-o", bin, "./testdata/"+name)
	return bin
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
