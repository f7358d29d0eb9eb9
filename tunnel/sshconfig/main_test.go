package sshconfig

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/integration/tools"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// configFile writes a configuration in a directory of its own.
func configFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	writeFile(t, path, text)
	return path
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// withSSH resolves by ssh -G, without by the reader that stands in for it.
func withSSH(t testing.TB, file string) *Resolver {
	return NewResolver(Options{File: file, SSH: tools.Need(t, tools.SSH)})
}

func without(file string) *Resolver {
	return NewResolver(Options{File: file, SSH: "/no/such/ssh"})
}
