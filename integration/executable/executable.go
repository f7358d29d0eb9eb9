// Package executable writes programs for tests.
package executable

import (
	"bytes"
	"os/exec"
	"testing"
)

// Write writes a program or script that anybody may run. A child does the writing: were the file open for writing here, any process that
// another goroutine forks in that moment would hold it open until its exec, and who starts the program meanwhile would be told that it is
// busy (ETXTBSY, golang/go#22315).
func Write(t testing.TB, path string, content []byte) {
	t.Helper()
	cmd := exec.Command("install", "-m", "0755", "/dev/stdin", path)
	cmd.Stdin = bytes.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("write %s: %v: %s", path, err, out)
	}
}
