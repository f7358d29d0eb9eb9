package tunnel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/integration/tools"
)

// loginShells are those that users have; each is given our command line as sshd gives it.
var loginShells = []string{"sh", "bash", "dash", "zsh", "fish", "csh", "tcsh"}

// through is a carrier whose login shell is another, or which makes noise first. %s is the command line, quoted for sh.
type through struct {
	carrier
	line string
}

func (c through) exec(ctx context.Context, command string) (channel, error) {
	q, err := quote(command)
	if err != nil {
		return nil, err
	}
	return c.carrier.exec(ctx, strings.ReplaceAll(c.line, "%s", q))
}

func throughHost(t testing.TB, line string) Host {
	t.Helper()
	local := NewLocal(LocalOptions{}).(*shellHost)
	h := newShellHost("", through{local.carrier, line}, nil, local.release)
	t.Cleanup(h.Release)
	return h
}

func TestLoginShells(t *testing.T) {
	for _, name := range loginShells {
		t.Run(name, func(t *testing.T) {
			h := throughHost(t, "exec "+tools.NeedShell(t, name)+" -c %s")
			for what, test := range map[string]func(*testing.T, Host){
				"words": suiteWords, "exits": suiteExits, "files": suiteFiles, "release": suiteRelease, "start refused": suiteStartRefused, "stdin": suiteStdin,
			} {
				t.Run(what, func(t *testing.T) { test(t, h) })
			}
		})
	}
}

// TestOtherShells uses another /bin/sh at the far side, as Red Hat and macOS have it.
func TestOtherShells(t *testing.T) {
	bash := tools.NeedShell(t, "bash")
	// The shell that we ask for is replaced by another that knows itself as sh.
	dir := t.TempDir()
	if err := os.Symlink(bash, dir+"/sh"); err != nil {
		t.Fatal(err)
	}
	h := throughHost(t, "exec "+dir+"/sh -s # %s")
	for what, test := range map[string]func(*testing.T, Host){
		"run": suiteRun, "run cancelled": suiteRunCancelled, "words": suiteWords, "exits": suiteExits, "start refused": suiteStartRefused,
		"reap": suiteReap, "release": suiteRelease, "normal end": suiteNormalEnd, "heirs": suiteHeirs, "files": suiteFiles,
		"big arguments": suiteBigArguments, "listeners": suiteListeners, "processes": suiteProcesses, "processes vanish": suiteProcessesVanish,
		"stdin": suiteStdin, "stdin talk": suiteStdinTalk, "stdin unread": suiteStdinUnread, "reap gdb": suiteReapGdb,
	} {
		t.Run(what, func(t *testing.T) { test(t, h) })
	}
}

func TestNoise(t *testing.T) {
	defer goleak.VerifyNone(t)
	for name, line := range map[string]string{
		"lines":            `echo Welcome; echo "a warning" >&2; eval %s`,
		"no end of line":   `printf Welcome; printf warning >&2; eval %s`,
		"verbose":          `exec /bin/sh -v -s # %s`, // prints the script that it reads
		"traced":           `exec /bin/sh -x -s # %s`,
		"half a mebibyte":  `head -c 500000 /dev/zero; head -c 500000 /dev/zero >&2; eval %s`,
		"not the leader":   `/bin/sh -c %s; exit $?`,
		"frames of others": `echo 0123456789abcdef0123456789abcdefB; echo I x 1 2; eval %s`,
	} {
		t.Run(name, func(t *testing.T) {
			h := throughHost(t, line)
			res, err := h.Run(t.Context(), "echo out; exit 5")
			if err != nil || string(res.Stdout) != "out\n" || res.Code != 5 {
				t.Fatalf("%+v, %v", res, err)
			}
			ws := suiteDir(t, h)
			p := suiteSh(t, h, ws, "echo out; echo err >&2; sleep 1000 & wait")
			if line := readLine(t, p.Stdout()); line != "out" {
				t.Errorf("stdout: %q", line)
			}
			if line := readLine(t, p.Stderr()); line != "err" && name != "traced" {
				t.Errorf("stderr: %q", line)
			}
			if left, err := h.Reap(t.Context(), ws); err != nil || len(left) > 0 || runs(p.ID()) {
				t.Errorf("left %q, %v", left, err)
			}
			// A lifeline's own sleep may outlast it by a moment.
			eventually(t, "nothing of the session is left", func() bool { return len(members(p.ID().PID)) == 0 })
			p.Release()
		})
	}
}

func TestNoShell(t *testing.T) {
	defer goleak.VerifyNone(t)
	for name, test := range map[string]struct {
		line, says string
		want       error
	}{
		"nologin":         {"echo This account is not available.; exit 1", "exit 1): This account is not available.", errNoMarker},
		"hostile words":   {`printf 'a\033[2Jb\nc'; exit 1`, "a [2Jb c", errNoMarker},
		"endless noise":   {"cat /dev/zero", "", errTooMuch},
		"endless warning": {"cat /dev/zero >&2", "", errTooMuch},
		"killed":          {"kill -9 $$", "signal KILL", errNoMarker},
	} {
		t.Run(name, func(t *testing.T) {
			h := throughHost(t, test.line)
			defer h.Release()
			if _, err := h.Run(t.Context(), "true"); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("silent", func(t *testing.T) {
		h := throughHost(t, "exec sleep 1")
		defer h.Release()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := h.Start(ctx, Spec{Workspace: "/tmp/" + NewWorkspaceName(), Argv: []string{"/bin/true"}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

// deadChannel is a connection that is silently gone: nothing comes, and closing wakes nobody, until gone is closed.
type deadChannel struct{ gone chan struct{} }

func (c deadChannel) Read([]byte) (int, error)    { <-c.gone; return 0, ErrLinkLost }
func (c deadChannel) Write(p []byte) (int, error) { <-c.gone; return 0, ErrLinkLost }
func (c deadChannel) Stdin() io.WriteCloser       { return c }
func (c deadChannel) Stdout() io.Reader           { return c }
func (c deadChannel) Stderr() io.Reader           { return c }
func (c deadChannel) Close() error                { return nil }
func (c deadChannel) Wait() (Exit, error)         { <-c.gone; return Exit{}, ErrLinkLost }

type deadCarrier struct {
	carrier
	ch deadChannel
}

func (c deadCarrier) exec(context.Context, string) (channel, error) { return c.ch, nil }

func TestDeadConnection(t *testing.T) {
	defer goleak.VerifyNone(t)
	gone := make(chan struct{})
	h := newShellHost("", deadCarrier{ch: deadChannel{gone}}, nil, func() {})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Run(ctx, "true"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dead: %v", err)
	}
	close(gone)
	if _, err := h.Run(t.Context(), "true"); !errors.Is(err, ErrLinkLost) {
		t.Errorf("lost: %v", err)
	}
}

func FuzzQuote(f *testing.F) {
	for _, word := range torture {
		f.Add(word)
	}
	shells := []string{"/bin/sh"}
	if bash, err := exec.LookPath("bash"); err == nil {
		shells = append(shells, bash)
	}
	f.Fuzz(func(t *testing.T, word string) {
		q, err := quote(word)
		if (err != nil) != strings.Contains(word, "\x00") {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		for _, shell := range shells {
			cmd := exec.Command(shell, "-s")
			cmd.Stdin = strings.NewReader("{\nprintf %s " + q + "\nexit\n}\n")
			if out, err := cmd.Output(); err != nil || string(out) != word {
				t.Errorf("%s: %q became %q, %v", shell, word, out, err)
			}
		}
	})
}

// FuzzStreams feeds what a hostile far side may print to the two readers.
func FuzzStreams(f *testing.F) {
	mark := marker("0123456789abcdef0123456789abcdef")
	f.Add([]byte("noise" + string(mark) + "B\nout" + string(mark) + "E7\n"))
	f.Add([]byte(string(mark) + "B\n" + string(mark) + "Ex\n"))
	f.Add([]byte(string(mark[:20]) + string(mark) + "B\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, size := range []int{16, 4096} {
			r := bufioReader(data, size)
			noise, total, err := skipNoise(r, mark)
			at := bytes.Index(data, []byte(string(mark)+"B\n"))
			if (err == nil) != (at >= 0) {
				t.Fatalf("%d, %v", at, err)
			}
			if err != nil {
				continue
			}
			if !bytes.HasSuffix(data[:at], noise) || total != at {
				t.Fatalf("noise %q, %d bytes of %d", noise, total, at)
			}
			rest := data[at+len(mark)+2:]
			out, _, err := readToEnd(r, mark, 1<<20, false)
			if end := bytes.Index(rest, []byte(string(mark)+"E")); err == nil && !bytes.Equal(out, rest[:end]) {
				t.Fatalf("%q of %q", out, rest)
			}
		}
	})
}
