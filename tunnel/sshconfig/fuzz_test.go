package sshconfig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/integration/tools"
)

// harmless takes out of a configuration what makes `ssh -G` run a program, read other files or ask the network, and what versions of ssh
// read differently. It looks at lines without their quotes, which ssh would take off.
func harmless(text string) string {
	var out strings.Builder
	for raw := range strings.Lines(text) {
		bare := lower(strings.NewReplacer(`"`, "", "'", "", `\`, "").Replace(raw))
		switch {
		case strings.Contains(bare, "exec"), strings.Contains(bare, "include"), strings.Contains(bare, "canonicalize"):
			continue
		case strings.Contains(bare, "%c"), strings.Contains(bare, "%j"): // the hash has the jump host in it or not
			continue
		case strings.Contains(bare, "user") && strings.ContainsAny(bare, "%$"): // User has tokens or not
			continue
		case strings.Contains(bare, "!final"): // it asks for the final pass, or not
			continue
		case strings.Contains(bare, "localnetwork"), strings.Contains(bare, "tagged"), strings.Contains(bare, "version"), strings.Contains(bare, "sessiontype"):
			continue
		case strings.Contains(bare, "proxyjump") && len(strings.Fields(bare)) > 2: // before 9.6 ssh took a jump host with blanks in it
			continue
		}
		out.WriteString(raw)
	}
	return out.String()
}

// FuzzNativeAgainstSSH looks for a configuration that ssh takes and the reader without ssh reads otherwise. It starts from the corpus.
func FuzzNativeAgainstSSH(f *testing.F) {
	ssh := tools.Need(f, tools.SSH)
	paths, err := filepath.Glob("testdata/corpus/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		c := loadCase(f, path)
		data, err := os.ReadFile(c.config)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < maxFuzzed {
			f.Add(string(data), c.ask[0])
		}
	}
	pair := newPair(f, ssh)
	f.Fuzz(func(t *testing.T, text, name string) {
		d, err := parseDestination(name)
		if err != nil || len(text) > maxFuzzed {
			t.Skip()
		}
		text = harmless(text)
		file := configFile(t, text)
		native, notes := pair.native(t, file, d, false)
		theirs, err := pair.ssh(t.Context(), file, d)
		if err != nil {
			return // it refuses what the reader without it has left out
		}
		for _, note := range notes {
			if strings.Contains(note, "left out") || strings.Contains(note, "not read") {
				t.Errorf("ssh takes what native does not: %s", note)
			}
		}
		diffReadings(t, name, native, theirs)
		if t.Failed() {
			t.Logf("%q", text)
		}
	})
}

const maxFuzzed = 8 << 10 // bytes

// Nothing in fuzz input reaches a shell.
func TestHarmless(t *testing.T) {
	for _, line := range []string{
		"Match exec \"touch x\"", "match host a EXEC x", "Match ex\"ec\" x", "Match e'x'ec x", `Match "exec" x`, "Include /dev/zero", "In\"clude\" /x", "CanonicalizeHostname yes",
		"Match host=x exec=y", `Match "host" "x" "ex"ec y`,
	} {
		if got := harmless("Host a\n" + line + "\nPort 1"); got != "Host a\nPort 1" {
			t.Errorf("%q leaves %q", line, got)
		}
	}
}
