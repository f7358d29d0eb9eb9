package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/executable"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/tools"
	"github.com/debugbroker/debugbroker/integration/usermanager"
)

// serviced is a user's machine with a systemd: an installation, a home, a manager.
type serviced struct {
	t       *testing.T
	bin     string
	state   string
	unit    string
	env     []string
	manager *usermanager.Manager
}

// newServiced uses paths that mean something to systemd wherever it takes them: in a program's path it refuses quotes.
func newServiced(t *testing.T) *serviced {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "bs-") // short, for the sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "config")
	s := &serviced{
		t: t, bin: filepath.Join(dir, "bin $HOME %h;"), state: filepath.Join(dir, `s %n$HOME"'\n`),
		unit: filepath.Join(config, "systemd/user/debugbroker.service"),
	}
	s.upgrade("brokerctl", "brokerd")
	s.manager = usermanager.Need(t, filepath.Join(dir, "run"), "HOME="+dir, "XDG_CONFIG_HOME="+config)
	b := brokertest.New(t, brokertest.Options{})
	s.env = append(b.Command(t.Context()).Env, "HOME="+dir, "XDG_RUNTIME_DIR="+s.manager.Runtime, "XDG_CONFIG_HOME="+config,
		"BROKER_STATE_DIR="+s.state, "BROKER_CONFIG=", "BROKER_SSH_CONFIG=none")
	return s
}

// upgrade puts new files in the programs' place, as an installer does.
func (s *serviced) upgrade(names ...string) {
	s.t.Helper()
	if err := os.MkdirAll(s.bin, 0o700); err != nil {
		s.t.Fatal(err)
	}
	for _, name := range names {
		program, err := os.ReadFile(filepath.Join(brokertest.Bin(s.t), name))
		if err != nil {
			s.t.Fatal(err)
		}
		path := filepath.Join(s.bin, name)
		executable.Write(s.t, path+".new", program)
		if err := os.Rename(path+".new", path); err != nil {
			s.t.Fatal(err)
		}
	}
}

// run runs brokerctl. env is K=V, over the serviced's.
func (s *serviced) run(env []string, args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "brokerctl"), args...)
	cmd.Env = append(append([]string{}, s.env...), env...)
	cmd.Dir = "/"
	cmd.WaitDelay = 5 * time.Second
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		s.t.Fatalf("brokerctl %q: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), words.String()
}

func (s *serviced) ok(args ...string) string {
	s.t.Helper()
	code, stdout, stderr := s.run(nil, args...)
	if code != 0 {
		s.t.Fatalf("brokerctl %q: exit %d\n%s%s\nbrokerd.log:\n%s\nsystemd:\n%s", args, code, stdout, stderr, s.log(), s.manager.Log())
	}
	return stdout
}

func (s *serviced) log() string {
	b, err := os.ReadFile(filepath.Join(s.state, api.LogName))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// report is service status --json, as far as it is looked at here.
type report struct {
	Installed, Current, Enabled, Serving bool
	Active                               string
	PID                                  *int
	Daemon                               *api.DaemonInfo
}

func (s *serviced) decode(text string) (r report) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		s.t.Fatalf("%v: %s", err, text)
	}
	return r
}

// served demands that the service's daemon answers, and returns its pid.
func (s *serviced) served(text string) int {
	s.t.Helper()
	r := s.decode(text)
	if !r.Installed || !r.Current || !r.Enabled || !r.Serving || r.Active != "active" || r.PID == nil || r.Daemon == nil || r.Daemon.Service != "systemd" {
		s.t.Fatalf("not served by the service: %s\nsystemd:\n%s", text, s.manager.Log())
	}
	return *r.PID
}

// property asks systemd about the unit.
func (s *serviced) property(name string) string {
	s.t.Helper()
	out, err := s.manager.Command(s.t.Context(), "show", "debugbroker.service", "--value", "--property="+name).Output()
	if err != nil {
		s.t.Fatalf("systemctl show: %v", err)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// await asks again until ok holds; there is no event to wait for in another program's file.
func (s *serviced) await(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			s.t.Fatalf("not within a minute: %s\nsystemd:\n%s\nbrokerd.log:\n%s", what, s.manager.Log(), s.log())
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-s.t.Context().Done():
			s.t.Fatal(s.t.Context().Err())
		}
	}
}

// TestServiceUnderSystemd takes a service through its life under a real user manager.
func TestServiceUnderSystemd(t *testing.T) {
	t.Parallel()
	s := newServiced(t)
	if r := s.decode(s.ok("service", "status", "--json")); r.Installed || r.Daemon != nil {
		t.Fatalf("before: %+v", r)
	}

	// Installed. systemd has understood every path.
	first := s.served(s.ok("service", "install", "--json"))
	want := []string{filepath.Join(s.bin, "brokerd"), "--service", "systemd", "--state-dir", s.state, "--socket", filepath.Join(s.state, api.SocketName), "--ssh-config", "none"}
	cmdline, err := os.ReadFile("/proc/" + strconv.Itoa(first) + "/cmdline")
	if got := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00"); err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("systemd starts\n%q, %v\nwant\n%q", got, err, want)
	}
	if got := s.property("StatusErrno") + s.property("Type") + s.property("KillMode"); got != "0notifyprocess" {
		t.Errorf("the unit's properties: %s", got)
	}
	if pid := s.served(s.ok("service", "install", "--json")); pid != first {
		t.Errorf("nothing has changed, and brokerd was started anew: pid %d, then %d", first, pid)
	}

	// An upgrade starts the new program, once, and not under an open session.
	s.upgrade("brokerd")
	session := s.openTicker()
	if code, _, stderr := s.run(nil, "service", "install"); code != 1 || !strings.Contains(stderr, "a session is open: "+session.ID) {
		t.Errorf("an upgrade while a session is open: exit %d\n%s", code, stderr)
	}
	s.ok("close", session.ID)
	second := s.served(s.ok("service", "install", "--json"))
	if second == first || s.served(s.ok("service", "install", "--json")) != second {
		t.Errorf("after the upgrade: pids %d, %d", first, second)
	}

	// It crashes, and is there again. What it had started ends in order, by its own lifeline: systemd kills none of it.
	session = s.openTicker()
	bystander := s.bystander()
	if err := syscall.Kill(second, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	third := 0
	s.await("the service after a crash", func() bool {
		r := s.decode(s.ok("service", "status", "--json"))
		if r.Serving && *r.PID != second {
			third = *r.PID
		}
		return third != 0
	})
	s.await("the end of what the crashed daemon had started", func() bool { return !running(*session.PID) })
	if !running(bystander) {
		t.Errorf("systemd has ended what is ours to end")
	}

	// stop is an end, not a crash. The next command starts the service, and no second daemon beside it.
	s.ok("stop")
	s.await("the unit's end", func() bool { return s.property("ActiveState") == "inactive" })
	if code, _, _ := s.run(nil, "--no-autostart", "list"); code != 1 {
		t.Errorf("stop, and it runs: exit %d", code)
	}
	s.ok("list")
	s.served(s.ok("service", "status", "--json"))

	s.ok("service", "uninstall")
	if _, err := os.Stat(s.unit); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unit's file: %v", err)
	}
	if got := s.property("LoadState"); got != "not-found" {
		t.Errorf("uninstalled, and to systemd it is %s", got)
	}
	if r := s.decode(s.ok("service", "status", "--json")); r.Installed || r.Daemon != nil {
		t.Errorf("uninstalled: %+v", r)
	}
	s.ok("service", "uninstall")
}

// bystander starts a program among those that the unit has started, as a Delve would be that has attached to a program of the user's. It
// has no lifeline: only systemd could end it.
func (s *serviced) bystander() (pid int) {
	s.t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if err := s.manager.Adopt(cmd.Process.Pid, s.property("ControlGroup")); err != nil {
		s.t.Fatal(err)
	}
	return cmd.Process.Pid
}

// openTicker opens a session on this machine.
func (s *serviced) openTicker() (session api.Session) {
	s.t.Helper()
	python := tools.Need(s.t, tools.Python)
	out := s.ok("open", ":python", "--no-wait", "--interpreter", python, "--json", "--", programs.Path(s.t, "python/ticker.py"))
	if err := json.Unmarshal([]byte(out), &session); err != nil || session.PID == nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	return session
}

// TestServiceBesideAutostart: a daemon that brokerctl has started by itself and the service never run for one state directory together.
func TestServiceBesideAutostart(t *testing.T) {
	t.Parallel()
	s := newServiced(t)
	s.ok("service", "install")
	s.ok("stop")

	// Where it does not see the service, brokerctl starts brokerd itself; the service then finds the lock taken, and gives up.
	if code, _, stderr := s.run([]string{"XDG_CONFIG_HOME=/nonexistent"}, "list"); code != 0 {
		t.Fatalf("autostart: exit %d\n%s", code, stderr)
	}
	own := s.decode(s.ok("service", "status", "--json"))
	if own.Serving || own.Daemon == nil || own.Daemon.Service != "" {
		t.Fatalf("autostart: %+v", own)
	}
	if out, err := s.manager.Command(t.Context(), "start", "debugbroker.service").CombinedOutput(); err == nil {
		t.Errorf("the service started beside another daemon: %s", out)
	}
	s.await("the service to give up", func() bool { return s.property("ActiveState") == "failed" })
	if r := s.decode(s.ok("service", "status", "--json")); r.Daemon == nil || r.Daemon.PID != own.Daemon.PID {
		t.Errorf("the daemon of before: %+v, now %+v", own, r)
	}

	// install settles it, once no session would be closed by that.
	session := s.openTicker()
	if code, _, stderr := s.run(nil, "service", "install"); code != 1 || !strings.Contains(stderr, session.ID) {
		t.Errorf("install while a session is open: exit %d\n%s", code, stderr)
	}
	s.served(s.ok("service", "install", "--force", "--json"))
	s.await("the end of the session", func() bool { return !running(*session.PID) && !running(own.Daemon.PID) })

	// A mistake in the configuration: systemd does not try again, and brokerctl says what it is.
	config := filepath.Join(filepath.Dir(s.bin), "broken.toml")
	if err := os.WriteFile(config, []byte("ttl = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := s.run(nil, "service", "install", "--config", config); code != 1 || !strings.Contains(stderr, "it is installed, and does not start: journalctl --user -u debugbroker") {
		t.Errorf("a broken configuration: exit %d\n%s", code, stderr)
	}
	if state, restarts := s.property("ActiveState"), s.property("NRestarts"); state != "failed" || restarts != "0" {
		t.Errorf("a broken configuration: %s after %s restarts", state, restarts)
	}
	if code, _, stderr := s.run(nil, "--config", config, "list"); code != 2 || !strings.Contains(stderr, "broken.toml:1: ttl") {
		t.Errorf("a broken configuration: exit %d\n%s", code, stderr)
	}
	s.ok("service", "uninstall")
}
