package brokertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/unignore"
	"github.com/gofrs/flock"
)

// binVariable names the directory of the binaries under test. Set from outside it saves the build, or tests other binaries.
const binVariable = "BROKER_TEST_BIN"

// buildTimeout bounds the build on a cold cache and two slow cores.
const buildTimeout = 10 * time.Minute

// Main runs a package's tests with a place for the binaries, which it removes afterwards. It is for TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(brokertest.Main(m)) }
func Main(m *testing.M) int {
	unignore.Signals()
	if os.Getenv(binVariable) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "broker-bin-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Setenv(binVariable, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for the binaries:", err)
		return 1
	}
	return m.Run()
}

// Bin returns the directory that holds brokerd and brokerctl, and builds them if they are not there yet.
func Bin(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(binVariable)
	if dir == "" {
		t.Fatal("no directory for the binaries: TestMain must call brokertest.Main")
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	lock := flock.New(filepath.Join(dir, "lock"))
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		t.Fatalf("wait for another test's build: %v", err)
	}
	defer lock.Unlock()
	if _, err := os.Stat(filepath.Join(dir, "brokerctl")); !errors.Is(err, os.ErrNotExist) {
		return dir
	}
	if err := build(ctx, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func build(ctx context.Context, dir string) error {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	for _, name := range []string{"brokerd", "brokerctl"} { // brokerctl last: it tells that both are there
		args := []string{"build", "-o", filepath.Join(dir, name)}
		if raceEnabled {
			args = append(args, "-race")
		}
		cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/"+name)...)
		cmd.Dir = filepath.Dir(strings.TrimSpace(string(out)))
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, text)
		}
	}
	return nil
}
