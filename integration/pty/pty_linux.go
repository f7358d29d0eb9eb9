package pty

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
)

// At starts a command with the terminal as its controlling one and as its standard input and error, in a session of its own.
func At(t testing.TB, tty *os.File, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stdin, cmd.Stderr = tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
}

// Screen is the terminal's end that a person would look at.
type Screen struct {
	mu   sync.Mutex
	got  bytes.Buffer
	more chan struct{}
	keys io.Writer // the keyboard
}

// Text is what the terminal was told so far.
func (s *Screen) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// Await waits until the terminal was told want.
func (s *Screen) Await(t testing.TB, want string) {
	t.Helper()
	s.AwaitTimes(t, want, 1)
}

// AwaitTimes waits until the terminal was told want so many times.
func (s *Screen) AwaitTimes(t testing.TB, want string, times int) {
	t.Helper()
	for timeout := time.After(60 * time.Second); strings.Count(s.Text(), want) < times; {
		select {
		case <-s.more:
		case <-timeout:
			t.Fatalf("no %q in %q", want, s.Text())
		}
	}
}

// New returns a terminal of 60 columns for a program, and its screen.
func New(t testing.TB) (*os.File, *Screen) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	var n int
	err = Control(master, func(fd int) error {
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
	s := &Screen{more: make(chan struct{}, 1), keys: master}
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

// Press types what a person would.
func (s *Screen) Press(t testing.TB, keys string) {
	t.Helper()
	if _, err := io.WriteString(s.keys, keys); err != nil {
		t.Fatal(err)
	}
}

// Control runs f on the descriptor without making it blocking, as Fd would: Close could then not end a Read.
func Control(file *os.File, f func(fd int) error) error {
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
