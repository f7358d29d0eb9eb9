package integration_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// shell asks one for completions.
type shell struct {
	t      *testing.T
	b      *brokertest.Broker
	dir    string
	script string // what `brokerctl completion` printed
}

func newShell(t *testing.T, b *brokertest.Broker, name string) shell {
	t.Helper()
	tools.NeedShell(t, name)
	s := shell{t: t, b: b, dir: t.TempDir()}
	s.script = filepath.Join(s.dir, "script")
	if err := os.WriteFile(s.script, []byte(b.OK("completion", name).Stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// file is a program in the shell's language that asks for us.
func (s shell) file(name string) string {
	s.t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata/completion", name))
	if err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s shell) run(env []string, name string, args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(append(slices.Clone(s.b.Command(ctx).Env), env...), "PATH="+brokertest.Bin(s.t)+":"+os.Getenv("PATH"), "HOME="+s.dir, "ZDOTDIR="+s.dir)
	cmd.Dir = s.dir
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		s.t.Fatalf("%s %q: %v\n%s%s", name, args, err, &stdout, &stderr)
	}
	return stdout.String()
}

// bashWord is how bash splits a line: at blanks, and at the characters of COMP_WORDBREAKS, which are words too.
var bashWord = regexp.MustCompile(`[:=]+|[^ :=]+`)

// bash returns whole words: what bash already has of the last word is put before each.
func (s shell) bash(pkg bool) func(string) []string {
	return func(line string) []string {
		s.t.Helper()
		words := bashWord.FindAllString(line, -1)
		if strings.HasSuffix(line, " ") {
			words = append(words, "")
		}
		last := line[strings.LastIndexByte(line, ' ')+1:]
		with := "WITH_PACKAGE=no"
		if pkg {
			with = "WITH_PACKAGE=yes"
		}
		out := s.run([]string{"LINE=" + line, with, "BASH_ERRORS=" + filepath.Join(s.dir, "errors")},
			"bash", append([]string{"--norc", s.file("bash.sh"), s.script}, words...)...)
		var found []string
		for candidate := range strings.Lines(out) {
			candidate, _, _ = strings.Cut(strings.TrimSuffix(candidate, "\n"), "  ") // the description, in a list
			if candidate != "" {
				found = append(found, last[:strings.LastIndexByte(last, ':')+1]+candidate)
			}
		}
		return found
	}
}

func (s shell) fish(line string) []string {
	s.t.Helper()
	out := s.run(nil, "fish", "--no-config", "-c", `source $argv[1]; complete -C $argv[2]`, s.script, line)
	var found []string
	for candidate := range strings.Lines(out) {
		candidate, _, _ = strings.Cut(strings.TrimSuffix(candidate, "\n"), "\t")
		found = append(found, candidate)
	}
	return found
}

// zsh returns the line after TAB.
func (s shell) zsh(line string) string {
	s.t.Helper()
	var fifos []string
	for _, name := range []string{"ready", "answer"} { // with one for both, the end of the first message could be taken for the second's
		path := filepath.Join(s.dir, name)
		if err := syscall.Mkfifo(path, 0o600); err != nil && !errors.Is(err, os.ErrExist) {
			s.t.Fatal(err)
		}
		fifos = append(fifos, path)
	}
	return s.run([]string{"TERM=dumb"}, "zsh", "-f", s.file("zsh.zsh"), s.script, fifos[0], fifos[1], line)
}

// hostsForCompletion is an ssh configuration with all sorts of hosts, and with what completion must not run.
func hostsForCompletion(t *testing.T) (config, ran string) {
	t.Helper()
	dir := t.TempDir()
	config, ran = filepath.Join(dir, "config"), filepath.Join(dir, "ran")
	for name, text := range map[string]string{
		"config": "Include " + dir + "/more\nHost web1 *.example.com !x\nHost db\nHost fe80::1\nMatch exec \"touch " + ran + "\"\n  User x\n",
		"more":   "Host wicked$(touch${IFS}" + ran + ") w\x1b[2Jicked wick;ed `wicked` webé\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config, ran
}

// TestCompletionInShells drives the real shells, first without a daemon, which none may start, and then with one that has sessions, one of which
// has a command line that a shell would run.
func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	config, ran := hostsForCompletion(t)
	b := brokertest.New(t, brokertest.Options{SSHConfig: config})
	asking := map[string]func(string) []string{
		"bash":                      newShell(t, b, "bash").bash(false),
		"bash with bash-completion": newShell(t, b, "bash").bash(true),
		"fish":                      newShell(t, b, "fish").fish,
	}
	zsh := newShell(t, b, "zsh").zsh
	if _, err := os.Stat("/usr/share/bash-completion/bash_completion"); err != nil {
		tools.Need(t, func() (string, error) {
			return "", &tools.MissingError{Tool: "bash-completion", Install: "apt install bash-completion"}
		})
	}

	hosts := func() {
		t.Helper()
		for line, want := range map[string][]string{
			"brokerctl open web1":           {"web1:"},
			"brokerctl open d":              {"db:"},
			"brokerctl open me@d":           {"me@db:"},
			"brokerctl open wic":            nil,
			"brokerctl open web1:py":        {"web1:py", "web1:python"},
			"brokerctl open :no":            {":node"},
			"brokerctl open web1:python ":   nil,
			"brokerctl --json open web1:ja": {"web1:java"},
			"brokerctl open --ttl 2":        {"24h", "2h"},
			"brokerctl service un":          {"uninstall"},
		} {
			for name, ask := range asking {
				got := ask(line)
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("%s: %q is completed as %q, want %q", name, line, got, want)
				}
			}
		}
		for line, want := range map[string]string{
			"brokerctl open web1":    "brokerctl open web1:",
			"brokerctl open me@d":    "brokerctl open me@db:",
			"brokerctl open web1:ja": "brokerctl open web1:java ",
			"brokerctl open :no":     "brokerctl open :node ",
			"brokerctl open wic":     "brokerctl open wic",
			"brokerctl service un":   "brokerctl service uninstall ",
		} {
			if got := zsh(line); got != want {
				t.Errorf("zsh: %q becomes %q, want %q", line, got, want)
			}
		}
	}
	hosts()
	for name, ask := range asking {
		if got := ask("brokerctl show "); len(got) > 0 {
			t.Errorf("%s: sessions without a daemon: %q", name, got)
		}
	}
	if _, err := os.Stat(b.StateDir()); err == nil {
		t.Error("completion has made a state directory")
	}

	s := b.Open(":python", "--interpreter", python, "--", programs.Path(t, "python/ticker.py"), "$(touch "+ran+")", "`touch "+ran+"`")
	hosts()
	for _, command := range []string{"show", "close", "logs"} {
		for name, ask := range asking {
			for _, typed := range []string{"", s.ID[:2]} {
				if got := ask("brokerctl " + command + " " + typed); !slices.Equal(got, []string{s.ID}) {
					t.Errorf("%s: %s %s: %q, want %s", name, command, typed, got, s.ID)
				}
			}
			if got := ask("brokerctl " + command + " " + s.ID + " "); len(got) > 0 {
				t.Errorf("%s: %s, a second time: %q", name, command, got)
			}
		}
		if got, want := zsh("brokerctl "+command+" "), "brokerctl "+command+" "+s.ID+" "; got != want {
			t.Errorf("zsh: %q, want %q", got, want)
		}
	}
	b.Close(s.ID)
	if got := asking["fish"]("brokerctl close "); len(got) > 0 {
		t.Errorf("closed, and offered to be closed: %q", got)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("completion has run a program of the ssh configuration or of a session's command line")
	}
}
