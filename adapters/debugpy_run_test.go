package adapters

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/debugbroker/debugbroker/integration/tools"
)

// debugpyPlan plans a launch on this machine, with an interpreter that has debugpy.
func debugpyPlan(t testing.TB, req Request) Plan {
	t.Helper()
	if req.Interpreter == "" {
		req.Interpreter = tools.Need(t, tools.Python)
	}
	return planned(t, NewDebugpy(), req)
}

// newerDebugpy is a directory from which another debugpy is imported, for trying a version that is not installed.
func newerDebugpy() []string {
	if dir := os.Getenv("DEBUGPY_PATH"); dir != "" {
		return []string{"PYTHONPATH=" + dir}
	}
	return nil
}

// script writes a program and returns its path.
func script(t testing.TB, source string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "app.py")
	must(t, "write", os.WriteFile(file, []byte(source), 0o600))
	return file
}
