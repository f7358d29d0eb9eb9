package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Completion asks for names only: no lock, no file, no program of the user's.
func TestSSHHosts(t *testing.T) {
	dir := t.TempDir()
	ssh, config, ran := filepath.Join(dir, "ssh_config"), filepath.Join(dir, "config.toml"), filepath.Join(dir, "ran")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(ssh, "Include "+dir+"/more\nMatch exec \"touch "+ran+"\"\nHost web1 *.example.com db !x 'a;b'\n")
	write(filepath.Join(dir, "more"), "Host inc\x1b[2Jluded fe80::1 included\n")
	write(config, "ssh_config = \""+ssh+"\"\n")
	state := filepath.Join(dir, "state")
	run := func(args ...string) (int, string, string) {
		var stdout, stderr strings.Builder
		cmd := command(func(string) string { return "" })
		cmd.SetArgs(append([]string{hostsCommand, "--state-dir", state}, args...))
		cmd.SetOut(&stdout)
		cmd.SetErr(&stderr)
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			return explain(err).Code.Exit(), stdout.String(), explain(err).Message
		}
		return 0, stdout.String(), stderr.String()
	}
	for _, args := range [][]string{{"--config", config}, {"--ssh-config", ssh}} {
		if code, out, words := run(args...); code != 0 || out != "fe80::1\nincluded\nweb1\ndb\n" {
			t.Errorf("%q: %d\n%s%s", args, code, out, words)
		}
	}
	if code, out, _ := run("--ssh-config", filepath.Join(dir, "none")); code == 0 || out != "" {
		t.Errorf("a file that is not there: %d %q", code, out)
	}
	for _, path := range []string{state, ran} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("asking for the hosts made %s", path)
		}
	}
}
