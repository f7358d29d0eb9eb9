package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each mistake of a configuration file is a line of its own behind `error:`: brokerctl takes other lines for output of ours.
func TestMistakesAreLinesOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, []byte("log_levle = \"info\"\nttl = \"8h\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	code := execute(t.Context(), []string{"--state-dir", filepath.Join(dir, "state"), "--config", config}, &stderr)
	want := "error: " + config + ":1: log_levle: no such key, did you mean log_level?\n" +
		"error: " + config + ":2: ttl: no such key, did you mean session.ttl?\n" +
		"code: config\nhint: correct the file, or name another with --config or BROKER_CONFIG\n"
	if code != 2 || stderr.String() != want {
		t.Errorf("exit %d\n%swant\n%s", code, &stderr, want)
	}
}

func TestArgumentsAreWrongUsage(t *testing.T) {
	for _, args := range [][]string{{"start"}, {"completion"}, {"--nonsense"}} {
		var stderr strings.Builder
		if code := execute(t.Context(), args, &stderr); code != 2 || !strings.Contains(stderr.String(), "code: usage\nhint: ") {
			t.Errorf("%q: exit %d\n%s", args, code, &stderr)
		}
	}
}

// ssh -F none means no file at all, not a file of that name.
func TestNoSSHConfig(t *testing.T) {
	for given, want := range map[string]string{"none": "none", "/a/b": "/a/b", "": ""} {
		o := options{stateDir: t.TempDir(), sshConfig: given}
		if err := o.resolve("", func(name string) string { return map[string]string{"HOME": "/home/ann"}[name] }); err != nil || o.sshConfig != want {
			t.Errorf("%q: %q, %v", given, o.sshConfig, err)
		}
	}
}
