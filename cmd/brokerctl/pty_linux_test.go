package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/debugbroker/debugbroker/broker/api"
)

// screen is the terminal's end that a person would look at.
type screen struct {
	mu   sync.Mutex
	got  bytes.Buffer
	more chan struct{}
	keys io.Writer // the keyboard
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// await waits until the terminal was told want.
func (s *screen) await(t *testing.T, want string) {
	t.Helper()
	for timeout := time.After(20 * time.Second); !strings.Contains(s.text(), want); {
		select {
		case <-s.more:
		case <-timeout:
			t.Fatalf("no %q in %q", want, s.text())
		}
	}
}

// newPTY returns a terminal of 60 columns for a program, and its screen.
func newPTY(t *testing.T) (*os.File, *screen) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	var n int
	err = control(master, func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 10, Col: 60}); err != nil {
			return err
		}
		var err error
		n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{more: make(chan struct{}, 1), keys: master}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			s.mu.Lock()
			s.got.Write(buf[:n])
			s.mu.Unlock()
			select {
			case s.more <- struct{}{}:
			default:
			}
			if err != nil { // EIO, when the last one has closed the other end
				return
			}
		}
	}()
	t.Cleanup(func() {
		tty.Close()
		master.Close()
		<-ended
	})
	return tty, s
}

// press types what a person would.
func (s *screen) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(s.keys, keys); err != nil {
		t.Fatal(err)
	}
}

// control runs f on the descriptor without making it blocking, as Fd would: Close could then not end a Read.
func control(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { ferr = f(int(fd)) }); err != nil {
		return err
	}
	return ferr
}

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
			tty, screen := newPTY(t)
			cmd := brokerctl("open", "slow:python", "--", "app.py")
			cmd.Env = append(cmd.Env, c.env)
			var stdout bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, tty
			start(t, cmd)
			screen.await(t, c.shown)
			s, _ := f.get("s1")
			s.Phase = api.PhaseClosed
			f.set(s)
			status(t, cmd)
			screen.await(t, "closed meanwhile")
			_, after, _ := strings.Cut(screen.text(), c.shown)
			before, _, _ := strings.Cut(after, "error:")
			if c.erased != strings.Contains(before, "\r\x1b[K") {
				t.Errorf("erased: %v, in %q", !c.erased, screen.text())
			}
			if c.anyColour != strings.Contains(screen.text(), "m") && strings.Contains(screen.text(), "\x1b[31;1m") != c.anyColour {
				t.Errorf("colour: %v, in %q", !c.anyColour, screen.text())
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
	tty, screen := newPTY(t)
	for _, args := range [][]string{{"open", "evil:python", "--", "app.py"}, {"list"}, {"show", "s1"}, {"logs", "s1"}, {"events"}} {
		cmd := brokerctl(args...)
		cmd.Stdout, cmd.Stderr = tty, tty
		cmd.Env = append(cmd.Env, "NO_COLOR=1")
		start(t, cmd)
		if got := status(t, cmd); got != 0 {
			t.Errorf("%v: exit status %d", args, got)
		}
	}
	screen.await(t, " opened ")
	// The progress line's own two are all that may be there.
	rest := strings.ReplaceAll(strings.ReplaceAll(screen.text(), "\r\x1b[K", ""), "\r\n", "\n")
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u202e' }); i >= 0 {
		t.Errorf("a control character at %q", rest[i:min(len(rest), i+40)])
	}
}

func TestWatchRedrawsOnATerminal(t *testing.T) {
	f, brokerctl := inProcess(t)
	if out, err := brokerctl("open", "web1:python", "--", "app.py", strings.Repeat("long ", 20)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tty, screen := newPTY(t)
	cmd := brokerctl("list", "--watch")
	cmd.Stdout, cmd.Stderr = tty, tty
	start(t, cmd)
	screen.await(t, "web1  python  ready")
	s, _ := f.get("s1")
	s.Phase = api.PhaseAttached
	f.set(s)
	screen.await(t, "web1  python  attached")
	if !strings.Contains(screen.text(), "\x1b[2A\r\x1b[J") {
		t.Errorf("the table was not replaced: %q", screen.text())
	}
	for line := range strings.SplitSeq(screen.text(), "\r\n") {
		if i := strings.LastIndex(line, "\x1b[J"); i >= 0 {
			line = line[i+3:]
		}
		if n := len([]rune(line)); n > 60 {
			t.Errorf("a line of %d columns: %q", n, line)
		}
	}
	s.Phase = api.PhaseClosed
	f.set(s)
	screen.await(t, "no sessions")
	cmd.Process.Signal(syscall.SIGINT)
	if got := status(t, cmd); got != 130 {
		t.Errorf("exit status %d", got)
	}
}

// openSlow starts an open that is waiting, and knows the session's id: the progress that it shows came with it.
func openSlow(t *testing.T, brokerctl func(...string) *exec.Cmd, stdout io.Writer) (*exec.Cmd, *screen) {
	t.Helper()
	tty, screen := newPTY(t)
	cmd := brokerctl("open", "slow:python", "--json", "--", "app.py")
	cmd.Stdout, cmd.Stderr = stdout, tty
	start(t, cmd)
	screen.await(t, "connecting to slow")
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
				t.Errorf("exit status %d, terminal %q", got, screen.text())
			}
			screen.await(t, "cancelling…")
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
