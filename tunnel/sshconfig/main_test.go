package sshconfig

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// needSSH finds the ssh program that a test compares with.
func needSSH(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("ssh")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ssh is not installed: apt install openssh-client")
		}
		t.Skip("ssh is not installed: apt install openssh-client")
	}
	return path
}

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
	return NewResolver(Options{File: file, SSH: needSSH(t)})
}

func without(file string) *Resolver {
	return NewResolver(Options{File: file, SSH: "/no/such/ssh"})
}
