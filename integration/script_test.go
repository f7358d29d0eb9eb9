package integration_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/debugbroker/debugbroker/integration/sshd"
)

// TestScripts runs testdata/script: the built brokerctl and brokerd, each script with a daemon and a host, box, of its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			w := newWorld(t, sshd.Options{})
			testscript.Run(t, testscript.Params{
				Files: []string{file}, RequireExplicitExec: true,
				Setup: func(e *testscript.Env) error {
					cmd := w.Command(t.Context())
					e.Vars = append(e.Vars, cmd.Env...)
					e.Setenv("PATH", filepath.Dir(cmd.Path)+":"+e.Getenv("PATH"))
					return nil
				},
			})
		})
	}
}
