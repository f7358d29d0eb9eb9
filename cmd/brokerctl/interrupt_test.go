package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// inProcess starts a fake daemon, and returns it with a command that would speak to it.
func inProcess(t *testing.T) (*fakeDaemon, func(args ...string) *exec.Cmd) {
	t.Helper()
	dir := t.TempDir()
	state := filepath.Join(dir, "s")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	f := newFake(api.DaemonInfo{API: api.Version, Version: "v9", PID: os.Getpid()})
	stop, err := f.listen(filepath.Join(state, "broker.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return f, func(args ...string) *exec.Cmd {
		cmd := exec.Command("brokerctl", args...)
		cmd.Env = environ(dir)
		return cmd
	}
}

func environ(dir string) (env []string) {
	for k, v := range isolated(dir) {
		env = append(env, k+"="+v)
	}
	return env
}

// status waits for cmd, bounded, and returns its exit status.
func status(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	bound := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer bound.Stop()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

func TestInterruptIgnoredWhereItWasIgnored(t *testing.T) {
	f, brokerctl := inProcess(t)
	inner := brokerctl("open", "slow:python", "--", "app.py")
	cmd := exec.Command("/bin/sh", append([]string{"-c", `trap "" INT; exec "$@"`, "sh", inner.Path}, inner.Args[1:]...)...)
	cmd.Env = inner.Env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.await(t, func() bool { return len(f.sessions) == 1 })
	cmd.Process.Signal(syscall.SIGINT)
	s, _ := f.get("s1")
	s.Phase = api.PhaseClosed // lets the open end
	f.set(s)
	if got := status(t, cmd); got != 5 { // as the daemon answers
		t.Errorf("exit status %d", got)
	}
	if f.called("POST /v1/sessions/s1/close") {
		t.Error("the signal was not ignored")
	}
}

func TestInterruptedStreamsAreQuiet(t *testing.T) {
	for _, args := range [][]string{{"list", "--watch", "--json"}, {"forwards", "--watch"}, {"events", "-f"}, {"logs", "-f", "s1"}} {
		t.Run(args[0], func(t *testing.T) {
			f, brokerctl := inProcess(t)
			f.setForward(api.Forward{Name: "pg", State: api.ForwardUp})
			if out, err := brokerctl("open", "web1:python", "--", "app.py").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			cmd := brokerctl(args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if n, err := stdout.Read(make([]byte, 1)); n != 1 {
				t.Fatal(err)
			}
			cmd.Process.Signal(syscall.SIGINT)
			if got := status(t, cmd); got != 130 || stderr.Len() > 0 {
				t.Errorf("exit status %d, stderr %q", got, &stderr)
			}
		})
	}
}

func TestWatchPrintsEachChange(t *testing.T) {
	f, brokerctl := inProcess(t)
	if out, err := brokerctl("open", "web1:python", "--", "app.py").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range []struct{ json, first, second string }{
		{"--json=true", `{"id":"s1",`, `"phase":"attached"`},
		{"--json=false", ` s1 web1:python ready 127.0.0.1:41234`, ` s1 web1:python attached 127.0.0.1:41234`},
	} {
		s, _ := f.get("s1")
		s.Phase = api.PhaseReady
		f.set(s)
		cmd := brokerctl("list", "--watch", c.json)
		lines := startLines(t, cmd)
		if l := <-lines; !strings.Contains(l, c.first) {
			t.Errorf("%q lacks %q", l, c.first)
		}
		s.Phase = api.PhaseAttached
		f.set(s)
		if l := <-lines; !strings.Contains(l, c.second) {
			t.Errorf("%q lacks %q", l, c.second)
		}
		cmd.Process.Signal(syscall.SIGINT)
		for range lines {
		}
		status(t, cmd)
	}
}

func TestBrokenPipeIsQuiet(t *testing.T) {
	_, brokerctl := inProcess(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	var stderr bytes.Buffer
	cmd := brokerctl("help", "errors")
	cmd.Stdout, cmd.Stderr = w, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got := status(t, cmd); got == 0 || stderr.Len() > 0 {
		t.Errorf("exit status %d, stderr %q", got, &stderr)
	}
}
