package integration_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// TestAttachToNoneOrSeveral: --match that makes no sense, or leaves open what is meant.
func TestAttachToNoneOrSeveral(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	python := tools.Need(t, tools.Python)
	dir := t.TempDir() // in the command lines: no other test's program matches
	path := filepath.Join(dir, "ticker.py")
	put(t, path, []byte(slurp(t, programs.Path(t, "python/ticker.py"))), 0o600)
	one, two := startByHand(t, 0, "tick", python, path, "0", "1"), startByHand(t, 0, "tick", python, path, "0", "2")
	sleep := exec.Command("sleep", "1000")
	sleep.Args = []string{"sleep " + dir, "1000"}
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { sleep.Process.Kill(); sleep.Wait() }()
	for name, tt := range map[string]struct {
		lang, match string
		want        complaint
	}{
		"does not compile":   {"python", "(", complaint{2, api.CodeUsage, []string{"missing closing )"}}},
		"not RE2":            {"python", `(a)\1`, complaint{2, api.CodeUsage, []string{"RE2"}}},
		"bad repetition":     {"python", "a{1,9999}", complaint{2, api.CodeUsage, []string{"invalid repeat count"}}},
		"none":               {"python", dir + "/no-such-program", complaint{1, api.CodeNotFound, []string{"no python process of box matches", "brokerctl ps box:python"}}},
		"another language's": {"go", dir, complaint{1, api.CodeNotFound, []string{"no go process of box matches"}}},
		"several":            {"python", dir, complaint{1, api.CodeAmbiguous, []string{"2 python processes of box match", "--pid", one.pid() + " (", two.pid() + " (", path}}},
	} {
		t.Run(name, func(t *testing.T) { s.complains(t, tt.want, "open", "box:"+tt.lang, "--match", tt.match) })
	}
	// Two ways to name a process, and a way and a program.
	s.complains(t, complaint{2, api.CodeUsage, nil}, "open", "box:python", "--match", "x", "--pid", one.pid())
	s.complains(t, complaint{2, api.CodeUsage, nil}, "open", "box:python", "--match", "x", "--", path)
	one.untouched()
	two.untouched()
}

// TestHostileProcessTitles: what a process is called is text in errors and lists, whoever made it up.
func TestHostileProcessTitles(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	python := tools.Need(t, tools.Python)
	dir := t.TempDir()
	path := filepath.Join(dir, "ticker.py")
	put(t, path, []byte(slurp(t, programs.Path(t, "python/ticker.py"))), 0o600)
	title := "/bin/py\x1b]0;owned\x07\nerror: hint: \x1b[2J\u009b31m\u202egpj\r\x7f\xff"
	var both []*byHand
	for range 2 {
		cmd := exec.Command(python)
		cmd.Args = []string{title, path, "0", "0", "arg\x1b[6n\n\u2066", dir}
		both = append(both, startCommand(t, "tick", cmd))
	}
	pid := both[0].pid()
	for _, args := range [][]string{
		{"open", "box:node", "--pid", pid}, {"open", "box:python", "--match", dir}, {"open", "box:python", "--match", dir + "\x1b[2J"},
		{"open", "box:\x1b[2J", "--pid", pid}, {"open", "box:python", "--unit", "a\x1b[2J\nb"},
	} {
		r := s.Run(args...)
		if r.Code == 0 || r.Stderr == "" {
			t.Errorf("%q: exit code %d\n%s%s", args, r.Code, r.Stdout, r.Stderr)
		}
		fitForTerminals(t, "the error", r.Stderr)
		e := errorOf(t, s.Run(append([]string{"--json"}, args...)...))
		fitForTerminals(t, "the error's message", e.Message)
		fitForTerminals(t, "the error's hint", e.Hint)
	}
	fitForTerminals(t, "ps", s.OK("ps", "box:python").Stdout)
	raw := s.OK("ps", "box:python", "--json").Stdout
	fitForTerminals(t, "ps --json", raw)
	if p := shown(t, s, "box:python")[both[0].cmd.Process.Pid]; len(p.Command) != 6 || p.Command[5] != dir {
		t.Errorf("ps says %+v", p)
	}
	both[0].untouched()
	both[1].untouched()
}
