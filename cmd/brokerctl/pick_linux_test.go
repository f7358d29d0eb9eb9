package main

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/pty"
)

// picking starts an open that names nothing to debug, at a terminal, and waits until the list is there.
func picking(t *testing.T, brokerctl func(...string) *exec.Cmd, env string, args ...string) (*exec.Cmd, *pty.Screen, *bytes.Buffer) {
	t.Helper()
	tty, screen := pty.New(t)
	var mode *unix.Termios
	read := func(fd int) (err error) {
		mode, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	}
	if err := pty.Control(tty, read); err != nil {
		t.Fatal(err)
	}
	before := *mode
	t.Cleanup(func() {
		if err := pty.Control(tty, read); err != nil {
			t.Error(err)
		} else if *mode != before {
			t.Errorf("the terminal is left as %+v, was %+v", *mode, before)
		}
	})
	cmd := brokerctl(append([]string{"open"}, args...)...)
	var stdout bytes.Buffer
	cmd.Env = append(cmd.Env, env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, &stdout, tty
	start(t, cmd)
	screen.Await(t, "Type to filter")
	return cmd, screen, &stdout
}

func TestPick(t *testing.T) {
	for _, c := range []struct {
		name, keys string
		want       api.OpenRequest // its PID and Port
		says       string
	}{
		{"the first", "\r", api.OpenRequest{PID: 52}, "brokerctl open web1:python --pid 52 "},
		{"by its pid", "70\r", api.OpenRequest{PID: 70}, "brokerctl open web1:python --pid 70 "},
		{"by a part of its name", "THEIRS\r", api.OpenRequest{PID: 70}, "brokerctl open web1:python --pid 70 "},
		{"one further down", "\x1b[B\x1b[B\r", api.OpenRequest{PID: 70}, "brokerctl open web1:python --pid 70 "},
		{"typing again", "jjj\x7f\x7f\x7fap\r", api.OpenRequest{PID: 52}, "brokerctl open web1:python --pid 52 "},
		{"a debug server", "debug s\r", api.OpenRequest{Port: 5678}, "brokerctl open web1:python --port 5678 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, brokerctl := inProcess(t)
			cmd, screen, stdout := picking(t, brokerctl, "TERM=xterm", "web1:python")
			screen.Press(t, c.keys)
			if got := status(t, cmd); got != 0 {
				t.Fatalf("exit status %d; terminal %q", got, screen.Text())
			}
			screen.Await(t, c.says)
			if !strings.Contains(stdout.String(), "web1:python is ready") {
				t.Errorf("stdout %q", stdout)
			}
			if n := len(f.requests); n != 1 || f.requests[0].PID != c.want.PID || f.requests[0].Port != c.want.Port {
				t.Errorf("opened %+v, want %+v", f.requests, c.want)
			}
		})
	}
}

func TestPickNothing(t *testing.T) {
	for name, leave := range map[string]func(*exec.Cmd, *pty.Screen){
		"Esc":     func(_ *exec.Cmd, s *pty.Screen) { s.Press(t, "\x1b") },
		"Ctrl-C":  func(_ *exec.Cmd, s *pty.Screen) { s.Press(t, "app\x03") },
		"SIGTERM": func(c *exec.Cmd, _ *pty.Screen) { c.Process.Signal(syscall.SIGTERM) },
		"SIGINT":  func(c *exec.Cmd, _ *pty.Screen) { c.Process.Signal(syscall.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			f, brokerctl := inProcess(t)
			cmd, screen, stdout := picking(t, brokerctl, "TERM=xterm", "web1:python")
			leave(cmd, screen)
			if got := status(t, cmd); got != 130 {
				t.Errorf("exit status %d; terminal %q", got, screen.Text())
			}
			screen.Await(t, "cancelled")
			if len(f.requests) > 0 || stdout.Len() > 0 {
				t.Errorf("opened %+v; stdout %q", f.requests, stdout)
			}
		})
	}
}

// What another debugger has is shown, and not taken.
func TestPickWhatIsTaken(t *testing.T) {
	f, brokerctl := inProcess(t)
	cmd, screen, _ := picking(t, brokerctl, "TERM=xterm", "web1:python")
	for _, mark := range []string{"(traced by 61", "(session s1 has", "(in docker"} {
		screen.Await(t, mark)
	}
	screen.Press(t, "traced.py\r")
	screen.Await(t, "this one cannot be opened: traced by 61 (gdb)")
	screen.Press(t, "\x1b")
	if got := status(t, cmd); got != 130 || len(f.requests) > 0 {
		t.Errorf("exit status %d, opened %+v", got, f.requests)
	}
}

func TestPickWithoutColour(t *testing.T) {
	colour := regexp.MustCompile(`\x1b\[[0-9;]*[34][0-7][0-9;]*m`)
	for env, want := range map[string]bool{"TERM=xterm-256color": true, "NO_COLOR=1": false} {
		_, brokerctl := inProcess(t)
		cmd, screen, _ := picking(t, brokerctl, env, "web1:python")
		screen.Press(t, "\x1b")
		status(t, cmd)
		text, _, _ := strings.Cut(screen.Text(), "error:")
		if got := colour.MatchString(text); got != want {
			t.Errorf("%s: colour %v, in %q", env, got, text)
		}
	}
}

// What processes are called reaches the terminal as text only.
func TestPickHostileText(t *testing.T) {
	_, brokerctl := inProcess(t)
	cmd, screen, _ := picking(t, brokerctl, "TERM=xterm", "evil:python")
	screen.Await(t, "owned")
	screen.Press(t, "\x1b")
	status(t, cmd)
	for _, bad := range []string{"\x1b]0;", "\x07", "\u009b", "\u202e"} {
		if strings.Contains(screen.Text(), bad) {
			t.Errorf("%q reached the terminal: %q", bad, screen.Text())
		}
	}
}

// A long list scrolls within the screen, which has 10 lines.
func TestPickFromACrowd(t *testing.T) {
	f, brokerctl := inProcess(t)
	cmd, screen, _ := picking(t, brokerctl, "TERM=xterm", "crowd:python")
	screen.Press(t, strings.Repeat("\x1b[B", 29)+"\r")
	if got := status(t, cmd); got != 0 || len(f.requests) != 1 || f.requests[0].PID != 129 {
		t.Errorf("exit status %d, opened %+v; terminal %q", got, f.requests, screen.Text())
	}
}
