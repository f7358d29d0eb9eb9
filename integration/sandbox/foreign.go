package sandbox

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// foreign tells whether a workspace belongs to a broker with another mark: one of the processes that are written down in it (a line
// "1 BOOT PID START …" each, tunnel/scripts/identity.sh) is alive and does not bear ours. A developer's own sessions go on beside the
// demo, and tests run side by side.
func foreign(workspace, mark string) bool {
	records, err := filepath.Glob(filepath.Join(workspace, ".dbk-*"))
	if err != nil {
		return false
	}
	for _, record := range records {
		text, err := os.ReadFile(record)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text))
		if len(fields) < 4 {
			continue
		}
		dir := filepath.Join("/proc", fields[2])
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || len(environ) == 0 || variable(environ, MarkVariable) == mark {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue
		}
		// As in Marked: field 22 is the start time, and a pid alone names nothing.
		after := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(after) >= 20 && after[19] == fields[3] {
			return true
		}
	}
	return false
}
