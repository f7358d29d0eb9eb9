package integration_test

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// TestAgentIsLent: a debugged program reaches the user's agent where our configuration says so, and nowhere else, whatever ssh's says.
func TestAgentIsLent(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	s := newStation(t, sshd.Options{}, "[[host]]\nmatch = \"lent\"\nforward_agent = true\n")
	s.clean(t)
	d := s.sshd
	for _, host := range []string{"lent", "plain"} {
		d.AddHost(host, "IdentityAgent SSH_AUTH_SOCK", "ForwardAgent yes")
	}
	program := filepath.Join(d.Dir(), "lister.py")
	const text = "import subprocess, time\nsubprocess.run('ssh-add -l 2>&1 || true', shell=True)\nprint('listed', flush=True)\ntime.sleep(600)\n"
	if err := os.WriteFile(program, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"SSH_AUTH_SOCK=" + serveAgent(t, s.Dir(), d.WriteKey("held", "secret"), "secret")}
	for host, want := range map[string]struct{ prints, warning string }{
		"lent":  {"(ED25519)", ""},
		"plain": {"Could not open a connection to your authentication agent", "ForwardAgent is not honoured"},
	} {
		if r := s.runWith(t, env, "open", host+":python", "--interpreter", python, "--no-wait", "--", program); r.Code != 0 {
			t.Fatalf("%s: exit code %d\n%s%s", host, r.Code, r.Stdout, r.Stderr)
		} else if strings.Contains(r.Stderr, "ForwardAgent") != (want.warning != "") || !strings.Contains(r.Stderr, want.warning) {
			t.Errorf("%s: open says %q", host, r.Stderr)
		}
		for _, v := range sessions(t, s, false) {
			if v.Host != host {
				continue
			}
			if out := printedUntil(t, s, v.ID, "listed"); !strings.Contains(out, want.prints) {
				t.Errorf("%s: the program sees %q, want %q", host, out, want.prints)
			}
			s.Close(v.ID)
		}
	}
}

// printedUntil is what a session has printed up to a line.
func printedUntil(t *testing.T, s station, id, line string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := s.Command(ctx, "logs", id, "-f")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }() // it is killed: it follows until the session ends
	var text strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.HasSuffix(lines.Text(), line) {
			return text.String()
		}
	}
	t.Errorf("no %q in %q", line, text.String())
	return text.String()
}
