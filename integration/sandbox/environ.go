package sandbox

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// MarkVariable is the environment variable that holds the mark.
const MarkVariable = "DEBUGBROKER_TEST_MARK"

// Paths are what a broker in the sandbox uses instead of the developer's own.
type Paths struct {
	StateDir  string // BROKER_STATE_DIR; short, there are sockets below it
	Config    string // BROKER_CONFIG, a file that must exist
	SSHConfig string // BROKER_SSH_CONFIG
	XDG       string // XDG_CONFIG_HOME and XDG_STATE_HOME, where Delve would leave its telemetry
	Temp      string // TMPDIR
	Mark      string
}

// Environ is the environment base (as os.Environ gives it) less what leads to the developer's agent, broker and settings, and with p.
func Environ(ctx context.Context, base []string, p Paths) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	goenv, err := exec.CommandContext(ctx, "go", "env", "GOENV").Output()
	if err != nil {
		return nil, fmt.Errorf("ask go for its settings: %w", err)
	}
	env := slices.DeleteFunc(slices.Clone(base), func(kv string) bool {
		k, _, _ := strings.Cut(kv, "=")
		return k == "SSH_AUTH_SOCK" || k == "KRB5CCNAME" || k == "DISPLAY" || strings.HasPrefix(k, "BROKER_") || strings.HasPrefix(k, "XDG_")
	})
	return append(env,
		"BROKER_STATE_DIR="+p.StateDir,
		"BROKER_CONFIG="+p.Config,
		"BROKER_SSH_CONFIG="+p.SSHConfig,
		"XDG_CONFIG_HOME="+p.XDG,
		"XDG_STATE_HOME="+filepath.Join(p.XDG, "state"),
		"GOENV="+strings.TrimSpace(string(goenv)), // which XDG_CONFIG_HOME would move
		"TMPDIR="+p.Temp,
		MarkVariable+"="+p.Mark,
	), nil
}
