package integration_test

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// statusOf is one line of a process's status file (proc(5)).
func statusOf(t *testing.T, pid int, key string) string {
	t.Helper()
	for line := range strings.Lines(slurp(t, filepath.Join("/proc", strconv.Itoa(pid), "status"))) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("the status of process %d has no %s", pid, key)
	return ""
}

func stateOf(t *testing.T, pid int) string {
	t.Helper()
	return statusOf(t, pid, "State")[:1]
}
