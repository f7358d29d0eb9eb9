package integration_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/executable"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sandbox"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// stage is a point in the course of an `open` at which it stays until it is interrupted.
type stage struct {
	name    string
	open    []string
	reached func() bool
}

// stages sets up every stage on one sshd. mark makes a path which is not there until its stage has been reached.
func stages(t *testing.T, s station, path string) []stage {
	t.Helper()
	python := tools.Need(t, tools.Python)
	mark := func(name string) (path string, reached func() bool) {
		path = filepath.Join(t.TempDir(), name)
		return path, func() bool { _, err := os.Stat(path); return err == nil }
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts: the system does, and there it ends
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.sshd.AddHost("mute", fmt.Sprintf("Port %d", l.Addr().(*net.TCPAddr).Port))
	connecting := func() bool {
		text, err := os.ReadFile("/proc/net/tcp")
		return err == nil && strings.Contains(string(text), fmt.Sprintf(":%04X 0100007F:", l.Addr().(*net.TCPAddr).Port))
	}
	probed, probing := mark("probing")
	started, starting := mark("starting")
	built, building := mark("building")
	fakeGo := filepath.Join(path, "go")
	text := fmt.Sprintf("#!/bin/sh\ncase $1 in env|version) exec %s \"$@\";; esac\ntouch %s\nsleep 1000 & wait\n", tools.Need(t, func() (string, error) { return exec.LookPath("go") }), built)
	executable.Write(t, fakeGo, []byte(text))
	app := programs.Path(t, "python/ticker.py")
	return []stage{
		{"connecting", []string{"mute:python", "--", app}, connecting},
		{"probing", []string{"box:python", "--interpreter", script(t, "touch "+probed+"\nsleep 1000\n"), "--", app}, probing},
		{"building", []string{"box:go", "--interpreter", tools.NeedDlv(t), "--cwd", programs.Path(t, "go/ticker"), "--", "."}, building},
		{"waiting until ready", []string{"box:python", "--interpreter", script(t, `case "$*" in *--listen*) touch `+started+`; exec sleep 1000;; esac; exec `+python+` "$@"`), "--", app}, starting},
	}
}

// TestInterruptedOpen: Ctrl-C, a hang-up and kill -9 of brokerctl, at every stage of an open, leave nothing.
func TestInterruptedOpen(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			bin := t.TempDir()
			s := newStation(t, sshd.Options{Env: map[string]string{"PATH": bin + ":" + os.Getenv("PATH")}}, "")
			for _, st := range stages(t, s, bin) {
				t.Run(st.name, func(t *testing.T) {
					s := s.in(t)
					s.OK("list")
					left := s.Leftovers()
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					cmd := s.Command(ctx, append([]string{"open", "--json"}, st.open...)...)
					var stdout, stderr strings.Builder
					cmd.Stdout, cmd.Stderr = &stdout, &stderr
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					if !sandbox.Await(ctx, st.reached) {
						t.Errorf("never came to %s", st.name)
					}
					begin := time.Now()
					if err := cmd.Process.Signal(sig); err != nil {
						t.Fatal(err)
					}
					err := cmd.Wait()
					if took := time.Since(begin); took > 20*time.Second {
						t.Errorf("took %s to end", took)
					}
					if sig != syscall.SIGKILL {
						if code := cmd.ProcessState.ExitCode(); code != 130 && (sig == syscall.SIGINT || code != 143) {
							t.Errorf("exit code %d (%v)\n%s%s", code, err, &stdout, &stderr)
						}
						if !strings.Contains(stdout.String(), `"code":"cancelled"`) {
							t.Errorf("stdout %s", &stdout)
						}
					}
					for _, v := range sessions(t, s, false) {
						v = s.Await(v.ID, "it is cancelled", func(v api.Session) bool { return v.Phase.Ended() })
						if v.Error == nil || v.Error.Code != api.CodeCancelled {
							t.Errorf("session: %+v", v)
						}
					}
					left.Check()
				})
			}
		})
	}
}
