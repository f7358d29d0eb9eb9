package main

import (
	"bytes"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/debugbroker/debugbroker/integration/pty"
)

// TestPrompt: what is asked reaches the terminal as text only, and what is typed is shown only where it may be. The terminal is left as it was.
func TestPrompt(t *testing.T) {
	_, brokerctl := inProcess(t)
	tty, screen := pty.New(t)
	modes := func() unix.Termios {
		var m *unix.Termios
		if err := pty.Control(tty, func(fd int) (err error) { m, err = unix.IoctlGetTermios(fd, unix.TCGETS); return err }); err != nil {
			t.Fatal(err)
		}
		return *m
	}
	before := modes()
	cmd := brokerctl("auth", "asks")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	pty.At(t, tty, cmd)
	screen.Await(t, "? ")
	screen.Press(t, "shown-word\r")
	screen.AwaitTimes(t, "? ", 2)
	screen.Press(t, "hidden-word\x7f\x7f\x7f\x7ftext\r")
	if got := status(t, cmd); got != 0 || stdout.String() != "authenticated to asks as me by p1=shown-word p2=hidden-text\n" {
		t.Errorf("exit status %d, stdout %q, terminal %q", got, &stdout, screen.Text())
	}
	text := screen.Text()
	if !strings.Contains(text, "shown-word") || strings.Contains(text, "hidden") {
		t.Errorf("terminal %q", text)
	}
	for _, bad := range []string{"\x1b]0;", "\x07", "\u009b", "\u202e", "\x1b[2J"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q reached the terminal: %q", bad, text)
		}
	}
	if after := modes(); after != before {
		t.Errorf("the terminal is left as %+v, was %+v", after, before)
	}
}

// TestPromptTakenBack: a question that needs no answer any more does not hold the command up, and neither does a signal's end of it.
func TestPromptTakenBack(t *testing.T) {
	f, brokerctl := inProcess(t)
	tty, screen := pty.New(t)
	cmd := brokerctl("auth", "forgets")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	pty.At(t, tty, cmd)
	screen.Await(t, "? ")
	f.answers <- "take it back"
	if got := status(t, cmd); got != 0 || stdout.String() != "authenticated to forgets as me by nothing\n" {
		t.Errorf("exit status %d, stdout %q, terminal %q", got, &stdout, screen.Text())
	}

	cmd = brokerctl("auth", "asks")
	pty.At(t, tty, cmd)
	screen.AwaitTimes(t, "? ", 2)
	cmd.Process.Signal(syscall.SIGTERM)
	if got := status(t, cmd); got != 130 {
		t.Errorf("exit status %d, terminal %q", got, screen.Text())
	}
}
