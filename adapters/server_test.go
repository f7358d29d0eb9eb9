package adapters

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
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

// server is a plan carried out on this machine.
type server struct {
	t       testing.TB
	plan    Plan
	cmd     *exec.Cmd
	network string
	address string
	path    string
	started Started

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced at each line
	ended chan struct{} // closed when it has ended and its output has been read

	lastStdio chan struct{} // closed when the last front end's process of stdio has ended
}

// launch starts what a plan says, waits until it is ready, and tells the plan what the broker would.
func launch(t testing.TB, plan Plan) *server {
	t.Helper()
	s := start(t, plan)
	s.awaitReady()
	if plan.Announced != nil {
		plan.Announced(s.path)
	}
	if plan.Started != nil {
		var err error
		if s.started, err = plan.Started(t.Context(), s.dial); err != nil {
			t.Fatalf("started: %v; output:\n%s", err, s.output())
		}
	}
	return s
}

// start starts a plan's process and reads its output. The test's end ends it.
func start(t testing.TB, plan Plan) *server {
	t.Helper()
	s := &server{t: t, plan: plan, network: plan.Network, address: plan.Address, more: make(chan struct{}), ended: make(chan struct{})}
	s.cmd = exec.Command(plan.Argv[0], plan.Argv[1:]...)
	s.cmd.Env = append(os.Environ(), plan.Env...)
	s.cmd.Dir = plan.Cwd
	if plan.ServerCwd != "" {
		s.cmd.Dir = plan.ServerCwd
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	r, w, err := os.Pipe()
	must(t, "pipe", err)
	s.cmd.Stdout, s.cmd.Stderr = w, w
	must(t, "start", s.cmd.Start())
	_ = w.Close()
	exited := make(chan struct{})
	var running sync.WaitGroup
	read := make(chan struct{})
	running.Go(func() {
		defer close(read)
		s.read(bufio.NewScanner(r))
	})
	running.Go(func() {
		_ = s.cmd.Wait()
		close(exited)
		_ = r.SetReadDeadline(time.Now().Add(2 * time.Second)) // a child may still hold it
		<-read
		_ = r.Close()
		close(s.ended)
	})
	t.Cleanup(func() {
		// Delve may not be killed: its target would go on, or die of its breakpoints.
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(5 * time.Second):
			t.Errorf("%s does not end on SIGTERM", plan.Argv[0])
		}
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		running.Wait()
	})
	return s
}

func (s *server) read(lines *bufio.Scanner) {
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s.mu.Lock()
		s.lines = append(s.lines, lines.Text())
		close(s.more)
		s.more = make(chan struct{})
		s.mu.Unlock()
	}
}

// awaitReady takes the address from the announcement.
func (s *server) awaitReady() {
	s.t.Helper()
	if s.plan.Ready.EndpointFile != "" {
		s.awaitEndpoint()
		return
	}
	re := s.plan.Ready.Line
	m := re.FindStringSubmatch(s.line("announcement", re.MatchString))
	for i, name := range re.SubexpNames() {
		switch {
		case name == "addr" && s.address == "":
			s.address = m[i]
		case name == "path":
			s.path = m[i]
		}
	}
}

func (s *server) awaitEndpoint() {
	s.t.Helper()
	var endpoints struct {
		Client struct {
			Host string
			Port json.Number
		}
	}
	eventually(s.t, "endpoint file", func() bool {
		data, err := os.ReadFile(s.plan.Ready.EndpointFile)
		return err == nil && json.Unmarshal(data, &endpoints) == nil
	})
	s.address = net.JoinHostPort(endpoints.Client.Host, endpoints.Client.Port.String())
}

// dial opens a connection to the server, as the broker would through the host.
func (s *server) dial(ctx context.Context) (net.Conn, error) {
	if s.network == "stdio" {
		return s.stdio(ctx)
	}
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
	for last := false; ; {
		s.mu.Lock()
		more, lines := s.more, s.lines[seen:]
		seen = len(s.lines)
		s.mu.Unlock()
		for _, l := range lines {
			if want(l) {
				return l, true
			}
		}
		if last {
			return "", false
		}
		select {
		case <-more:
		case <-s.ended:
			last = true // one more look
		case <-deadline:
			return "", false
		}
	}
}

// line is await for a line that must come.
func (s *server) line(what string, want func(string) bool) string {
	s.t.Helper()
	l, ok := s.await(want)
	if !ok {
		state := "it runs"
		select {
		case <-s.ended:
			state = s.cmd.ProcessState.String()
		default:
		}
		s.t.Fatalf("no %s (%s); output:\n%s", what, state, s.output())
	}
	return l
}

// goesOn waits for n further lines that match.
func (s *server) goesOn(re *regexp.Regexp, n int) {
	s.t.Helper()
	want, got := s.count(re)+n, 0
	s.line("further output", func(l string) bool {
		if re.MatchString(l) {
			got++
		}
		return got >= want
	})
}

// exit waits for the end of the process and returns its status.
func (s *server) exit() int {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(limit):
		s.t.Fatalf("it does not end; output:\n%s", s.output())
	}
	return s.cmd.ProcessState.ExitCode()
}

// afterLast runs the plan's exchange as the broker does when the last front end has gone.
func (s *server) afterLast() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	begun := time.Now()
	must(s.t, "AfterLast", s.plan.AfterLast(ctx, s.dial))
	s.t.Logf("AfterLast took %v", time.Since(begun).Round(time.Millisecond))
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

// failed finds what a plan says of an output.
func failed(p Plan, output string) (Failure, bool) {
	for _, f := range p.Failures {
		if f.Match.MatchString(output) {
			return f, true
		}
	}
	return Failure{}, false
}

// planned probes and plans a launch on this machine, and writes the plan's files.
func planned(t testing.TB, a Adapter, req Request) Plan {
	t.Helper()
	req.Mode = Launch
	if req.Workspace == "" {
		req.Workspace = shortDir(t)
	}
	if req.Host.OS == "" {
		req.Host = here(t)
	}
	plan, err := a.Plan(probed(t, a, req, "/bin/sh"))
	must(t, "plan", err)
	for _, f := range plan.Files {
		must(t, "write", os.WriteFile(filepath.Join(req.Workspace, f.Name), f.Data, 0o600))
	}
	return plan
}

// eventually polls what has no event to wait for.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

// shortDir makes a directory whose path fits into a socket's address.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dbg")
	must(t, "directory", err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// here is this machine as a Host.
func here(t testing.TB) Host {
	t.Helper()
	home, err := os.UserHomeDir()
	must(t, "home", err)
	return Host{OS: "linux", Home: home, Path: os.Getenv("PATH"), StreamLocal: true}
}

func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
