package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// evil is text that means more to a terminal than it shows: a window's title, the clipboard, a cleared screen, a line rewritten, an
// answer typed for the user, text that runs the other way.
const evil = "\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b[2J\x1b[1A\x9b31m\u009b31m\rsafe\b\b\b\u202egpj.exe\u2066\x1b[6n\x1bP+q\x1b\\\x7f\x00end"

// hostile prints it in every way, then stays or ends.
const hostile = `
import os, sys
evil = bytes.fromhex("%x")
for fd in (1, 2):
    os.write(fd, b"begin " + evil + b"\n")
    if len(sys.argv) > 1:
        continue
    os.write(fd, b"x" * (1 << 19) + evil + b"\n")
    os.write(fd, b"\xff\xfe\xc3\x28\xed\xa0\x80\n")
    os.write(fd, b"no newline " + evil)
os.write(1, b"\nlast line\n")
if len(sys.argv) > 1:
    os.write(1, b"y" * (1 << 16))
    raise Exception("thrown " + evil.decode("latin1"))
import time
time.sleep(1000)
`

// fitForTerminals demands that a text holds nothing that a terminal would act upon.
func fitForTerminals(t *testing.T, what, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s is not UTF-8: %.200q", what, text)
	}
	for _, r := range text {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf) {
			t.Errorf("%s holds %q: %.200q…", what, r, text)
			return
		}
	}
}

// TestHostileText: what a program, its name and its files are called, reaches a terminal as text only.
func TestHostileText(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	dir := filepath.Join(t.TempDir(), "d\x1b[31m\u202eevil\x07")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a\x1b]0;owned\x07\nb.py")
	if err := os.WriteFile(path, fmt.Appendf(nil, hostile, evil), 0o600); err != nil {
		t.Fatal(err)
	}
	open := []string{"open", "box:python", "--interpreter", python, "--no-wait", "--cwd", dir, "--reason", "because\x1b[2J\u202e", "--", path}
	r := s.OK(open...)
	fitForTerminals(t, "open's stdout", r.Stdout)
	fitForTerminals(t, "open's stderr", r.Stderr)
	v := sessions(t, s, false)[0]
	if v.Cwd != dir {
		t.Errorf("cwd %q arrived as %q", dir, v.Cwd)
	}
	awaitOutput(t, s.Broker, v.ID, 0, "last line")
	for _, args := range [][]string{{"logs", v.ID}, {"list"}, {"show", v.ID}, {"events"}, {"hosts"}} {
		r := s.OK(args...)
		fitForTerminals(t, args[0]+"'s stdout", r.Stdout)
		fitForTerminals(t, args[0]+"'s stderr", r.Stderr)
		fitForTerminals(t, args[0]+" on a terminal", strings.ReplaceAll(onTerminal(t, s, args...), "\r\n", "\n"))
	}
	logs := s.OK("logs", v.ID).Stdout
	for _, word := range []string{"begin ", "end", "last line", "no newline "} {
		if !strings.Contains(logs, word) {
			t.Errorf("logs lost %q", word)
		}
	}
	if n := strings.Count(logs, "x"); n < 1<<20 {
		t.Errorf("%d of the %d letters of two long lines are there", n, 1<<20)
	}
	for _, line := range brokertest.Lines[api.LogLine](s.Broker, "logs", v.ID) {
		if len(line.Text) > 64<<10 {
			t.Errorf("a line of %d bytes", len(line.Text))
		}
	}
	if raw := s.OK("logs", v.ID, "--json").Stdout; !json.Valid([]byte(strings.SplitN(raw, "\n", 2)[0])) || strings.ContainsRune(raw, 0x1b) {
		t.Error("logs --json is not JSON")
	}
	s.Broker.Close(v.ID)

	// As an error's output.
	thrown := s.Run(append(open, "throw")...)
	if thrown.Code != 1 || !strings.Contains(thrown.Stderr, "thrown ") {
		t.Errorf("exit code %d\n%s", thrown.Code, thrown.Stderr)
	}
	fitForTerminals(t, "the error", thrown.Stderr)
	if lines := strings.Count(thrown.Stderr, "\n"); lines > 100 || len(thrown.Stderr) > 64<<10 {
		t.Errorf("the error has %d lines and %d bytes", lines, len(thrown.Stderr))
	}
	missing := s.Run("open", "box:python", "--interpreter", python, "--", "/nonexistent/\x1b[31mx\u202e.py")
	if missing.Code != 1 {
		t.Errorf("%+v", missing)
	}
	fitForTerminals(t, "the error", missing.Stderr)
}

// onTerminal runs brokerctl with a terminal as its output that understands nothing, and returns what that was told.
func onTerminal(t *testing.T, s station, args ...string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	defer master.Close()
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := s.Command(ctx, args...)
	cmd.Env = append(cmd.Env, "TERM=dumb", "NO_COLOR=1")
	cmd.Stdout, cmd.Stderr = tty, tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	var told strings.Builder
	buf := make([]byte, 64<<10)
	for {
		n, err := master.Read(buf) // EIO once the last holder of the other end has gone
		told.Write(buf[:n])
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%q on a terminal: %v", args, err)
	}
	return told.String()
}

// TestHostileLogins: what login scripts print is skipped up to a bound, and what is no shell is told as such.
func TestHostileLogins(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	ticker := pythonTicker(t)
	noise := strings.Repeat("debugbroker 00000000 ready 127.0.0.1:1\ndbk B\ndbk 0000 B\nE program-missing\nboot x\n"+evil+"\n", 3000)
	if len(noise) > 900<<10 {
		t.Fatalf("%d bytes are no mere noise", len(noise))
	}
	t.Run("noise", func(t *testing.T) {
		t.Parallel()
		s := newStation(t, sshd.Options{Noise: noise}, "")
		s.clean(t)
		v := s.Open(ticker.open("box", nil)...)
		ticker.pause(t, v.Local)
		s.Broker.Close(v.ID)
	})
	for name, tt := range map[string]struct {
		options sshd.Options
		words   []string
	}{
		"too much":           {sshd.Options{Noise: strings.Repeat("Welcome to the machine\n", 100000)}, []string{"box", "login scripts"}},
		"never ends":         {sshd.Options{Lines: []string{"ForceCommand yes"}}, []string{"box", "login scripts"}},
		"echoes":             {sshd.Options{Lines: []string{"ForceCommand head -c 2000"}}, []string{"box", "shell"}},
		"no shell":           {sshd.Options{Lines: []string{"ForceCommand echo '\x1b[2JThis account is currently not available.'; exit 1"}}, []string{"box", "This account is currently not available.", "ssh HOST"}},
		"ends at once":       {sshd.Options{Lines: []string{"ForceCommand exit 0"}}, []string{"box", "shell"}},
		"shell is not there": {sshd.Options{Lines: []string{"ForceCommand /nonexistent/shell"}}, []string{"box", "/nonexistent/shell"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStation(t, tt.options, "")
			s.clean(t)
			begin := time.Now()
			s.complains(t, complaint{5, api.CodeUnreachable, tt.words}, "open", "box:python", "--interpreter", python, "--", "app.py")
			if took := time.Since(begin); took > 40*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}
