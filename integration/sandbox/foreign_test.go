package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Only a live process of another mark makes a workspace somebody else's: what a dead one of ours left must still be found.
func TestForeignWorkspaces(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "sleep", "1000")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), MarkVariable + "=foreign-test"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	marked, err := Marked("foreign-test")
	if errors.Is(err, ErrNoProc) {
		t.Skip(err)
	}
	if err != nil || len(marked) != 1 {
		t.Fatalf("%v, %v", marked, err)
	}
	p := marked[0]
	for name, test := range map[string]struct {
		pid   int
		start string
		mark  string
		want  bool
	}{
		"another broker's":          {p.PID, p.Start, "ours", true},
		"ours":                      {p.PID, p.Start, "foreign-test", false},
		"of a pid that was reused":  {p.PID, p.Start + "0", "ours", false},
		"of a process that is dead": {1 << 30, "1", "ours", false},
	} {
		dir := t.TempDir()
		record := fmt.Sprintf("1 boot %d %s s %d - .\n", test.pid, test.start, test.pid)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf(".dbk-%d", test.pid)), []byte(record), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := foreign(dir, test.mark); got != test.want {
			t.Errorf("%s: foreign = %v", name, got)
		}
	}
	if foreign(t.TempDir(), "ours") {
		t.Error("an empty workspace counts as another's")
	}
}
