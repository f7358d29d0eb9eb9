package main

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/pty"
)

func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
}

func TestProgressOnATerminal(t *testing.T) {
	for _, c := range []struct {
		env       string
		shown     string
		erased    bool
		anyColour bool
	}{
		{"TERM=xterm", "\r\x1b[K\x1b[2mconnecting to slow… 0s\x1b[0m", true, true},
		{"NO_COLOR=1", "\r\x1b[Kconnecting to slow… 0s", true, false},
		{"TERM=dumb", "connecting to slow…\r\n", false, false},
	} {
		t.Run(c.env, func(t *testing.T) {
			f, brokerctl := inProcess(t)
			tty, screen := pty.New(t)
			cmd := brokerctl("open", "slow:python", "--", "app.py")
			cmd.Env = append(cmd.Env, c.env)
			var stdout bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, tty
			start(t, cmd)
			screen.Await(t, c.shown)
			s, _ := f.get("s1")
			s.Phase = api.PhaseClosed
			f.set(s)
			status(t, cmd)
			screen.Await(t, "closed meanwhile")
			_, after, _ := strings.Cut(screen.Text(), c.shown)
			before, _, _ := strings.Cut(after, "error:")
			if c.erased != strings.Contains(before, "\r\x1b[K") {
				t.Errorf("erased: %v, in %q", !c.erased, screen.Text())
			}
			if c.anyColour != strings.Contains(screen.Text(), "m") && strings.Contains(screen.Text(), "\x1b[31;1m") != c.anyColour {
				t.Errorf("colour: %v, in %q", !c.anyColour, screen.Text())
			}
			if stdout.Len() > 0 {
				t.Errorf("stdout %q", &stdout)
			}
		})
	}
}

func TestNoProgressWithoutATerminal(t *testing.T) {
	f, brokerctl := inProcess(t)
	cmd := brokerctl("open", "slow:python", "--", "app.py")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start(t, cmd)
	f.await(t, func() bool { return len(f.sessions) == 1 })
	time.Sleep(2 * progressDelay) // long enough for a line to be there if it were
	s, _ := f.get("s1")
	s.Phase = api.PhaseClosed
	f.set(s)
	status(t, cmd)
	if got := stderr.String(); got != "error: closed meanwhile\n" {
		t.Errorf("stderr %q", got)
	}
}

func TestHostileTextOnATerminal(t *testing.T) {
	_, brokerctl := inProcess(t)
	tty, screen := pty.New(t)
	for _, args := range [][]string{{"open", "evil:python", "--", "app.py"}, {"list"}, {"show", "s1"}, {"logs", "s1"}, {"events"}} {
		cmd := brokerctl(args...)
		cmd.Stdout, cmd.Stderr = tty, tty
		cmd.Env = append(cmd.Env, "NO_COLOR=1")
		start(t, cmd)
		if got := status(t, cmd); got != 0 {
			t.Errorf("%v: exit status %d", args, got)
		}
	}
	screen.Await(t, " opened ")
	// The progress line's own two are all that may be there.
	rest := strings.ReplaceAll(strings.ReplaceAll(screen.Text(), "\r\x1b[K", ""), "\r\n", "\n")
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u202e' }); i >= 0 {
		t.Errorf("a control character at %q", rest[i:min(len(rest), i+40)])
	}
}

func TestWatchRedrawsOnATerminal(t *testing.T) {
	f, brokerctl := inProcess(t)
	if out, err := brokerctl("open", "web1:python", "--", "app.py", strings.Repeat("long ", 20)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tty, screen := pty.New(t)
	cmd := brokerctl("list", "--watch")
	cmd.Stdout, cmd.Stderr = tty, tty
	start(t, cmd)
	screen.Await(t, "web1  python  ready")
	s, _ := f.get("s1")
	s.Phase = api.PhaseAttached
	f.set(s)
	screen.Await(t, "web1  python  attached")
	if !strings.Contains(screen.Text(), "\x1b[2A\r\x1b[J") {
		t.Errorf("the table was not replaced: %q", screen.Text())
	}
	for line := range strings.SplitSeq(screen.Text(), "\r\n") {
		if i := strings.LastIndex(line, "\x1b[J"); i >= 0 {
			line = line[i+3:]
		}
		if n := len([]rune(line)); n > 60 {
			t.Errorf("a line of %d columns: %q", n, line)
		}
	}
	s.Phase = api.PhaseClosed
	f.set(s)
	screen.Await(t, "no sessions")
	cmd.Process.Signal(syscall.SIGINT)
	if got := status(t, cmd); got != 130 {
		t.Errorf("exit status %d", got)
	}
}

// openSlow starts an open that is waiting, and knows the session's id: the progress that it shows came with it.
func openSlow(t *testing.T, brokerctl func(...string) *exec.Cmd, stdout io.Writer) (*exec.Cmd, *pty.Screen) {
	t.Helper()
	tty, screen := pty.New(t)
	cmd := brokerctl("open", "slow:python", "--json", "--", "app.py")
	cmd.Stdout, cmd.Stderr = stdout, tty
	start(t, cmd)
	screen.Await(t, "connecting to slow")
	return cmd, screen
}

func TestInterruptedOpenIsClosed(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			f, brokerctl := inProcess(t)
			var stdout bytes.Buffer
			cmd, screen := openSlow(t, brokerctl, &stdout)
			cmd.Process.Signal(sig)
			if got := status(t, cmd); got != 130 {
				t.Errorf("exit status %d, terminal %q", got, screen.Text())
			}
			screen.Await(t, "cancelling…")
			if s, _ := f.get("s1"); s.Phase != api.PhaseClosed {
				t.Errorf("the session is %s", s.Phase)
			}
			if got := stdout.String(); got != `{"error":{"code":"cancelled","message":"cancelled","hint":"nothing is left of it"}}`+"\n" {
				t.Errorf("stdout %q", got)
			}
		})
	}
}

func TestSecondInterruptLeavesAtOnce(t *testing.T) {
	f, brokerctl := inProcess(t)
	f.hangClose = make(chan struct{})
	t.Cleanup(func() { close(f.hangClose) })
	cmd, _ := openSlow(t, brokerctl, nil)
	cmd.Process.Signal(syscall.SIGINT)
	f.await(t, func() bool { return f.called("POST /v1/sessions/s1/close") })
	start := time.Now()
	cmd.Process.Signal(syscall.SIGINT)
	if got := status(t, cmd); got != 130 || time.Since(start) > cancelTimeout/2 {
		t.Errorf("exit status %d after %s", got, time.Since(start))
	}
}
