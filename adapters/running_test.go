package adapters

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runs starts a program as users do, without anything of ours.
func runs(t testing.TB, dir string, env []string, argv ...string) *server {
	t.Helper()
	return start(t, Plan{Argv: argv, Env: env, Cwd: dir})
}

// target is a started program as the broker would find it in the process table.
func (s *server) target() Running {
	s.t.Helper()
	pid := s.cmd.Process.Pid
	proc := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(proc + "stat")
	must(s.t, "stat", err)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	r := Running{PID: pid, Start: fields[19], UID: os.Getuid(), Cwd: s.cmd.Dir}
	r.Exe, err = os.Readlink(proc + "exe")
	must(s.t, "exe", err)
	r.Cwd, err = os.Readlink(proc + "cwd")
	must(s.t, "cwd", err)
	cmdline, err := os.ReadFile(proc + "cmdline")
	must(s.t, "cmdline", err)
	r.Argv = strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
	status, err := os.ReadFile(proc + "status")
	must(s.t, "status", err)
	_, caught, _ := strings.Cut(string(status), "SigCgt:")
	_, err = fmt.Sscanf(strings.TrimSpace(caught), "%x", &r.Caught)
	must(s.t, "caught signals", err)
	return r
}

// planAttach probes and plans a session on a running program.
func planAttach(t testing.TB, a Adapter, req Request) (Plan, error) {
	t.Helper()
	req.Mode = Attach
	if req.Workspace == "" {
		req.Workspace = shortDir(t)
	}
	if req.Host.OS == "" {
		req.Host = here(t)
	}
	plan, err := a.Plan(probed(t, a, req, "/bin/sh"))
	for _, f := range plan.Files {
		must(t, "write", os.WriteFile(req.Workspace+"/"+f.Name, f.Data, 0o600))
	}
	return plan, err
}

// attachTo starts the guard of a session on a program, and waits until it is ready.
func attachTo(t testing.TB, a Adapter, req Request) *server {
	t.Helper()
	plan, err := planAttach(t, a, req)
	must(t, "plan", err)
	return launch(t, plan)
}

// leave ends a guard as Reap does, and expects it to end well.
func (s *server) leave() {
	s.t.Helper()
	must(s.t, "signal", s.cmd.Process.Signal(syscall.SIGTERM))
	if got := s.exit(); got != 0 {
		s.t.Errorf("the guard ends with %d; output:\n%s", got, s.output())
	}
}

// stdio starts a plan's Stdio as the broker does for one front end, once the last front end's has ended.
func (s *server) stdio(ctx context.Context) (net.Conn, error) {
	if s.lastStdio != nil {
		select {
		case <-s.lastStdio:
		case <-time.After(limit):
			s.t.Fatalf("%s of the last front end does not end", s.plan.Stdio[0])
		}
	}
	cmd := exec.Command(s.plan.Stdio[0], s.plan.Stdio[1:]...)
	cmd.Env, cmd.Dir = append(os.Environ(), s.plan.Env...), cmp.Or(s.plan.ServerCwd, s.plan.Cwd)
	in, err := cmd.StdinPipe()
	must(s.t, "stdin", err)
	out, err := cmd.StdoutPipe()
	must(s.t, "stdout", err)
	must(s.t, "start", cmd.Start())
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(far, out)
		far.Close()
	}()
	go func() {
		_, _ = io.Copy(in, far)
		in.Close()
	}()
	ended := make(chan struct{})
	s.lastStdio = ended
	go func() { <-done; _ = cmd.Wait(); close(ended) }()
	s.t.Cleanup(func() {
		near.Close()
		select {
		case <-ended:
		case <-time.After(limit):
			s.t.Errorf("%s does not end with its front end", s.plan.Stdio[0])
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	return near, nil
}

// gone tells whether a program has ended.
func (s *server) gone() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}
