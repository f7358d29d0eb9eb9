package tools

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

// buildTimeout bounds the build of Delve on a cold build cache and two slow cores.
const buildTimeout = 8 * time.Minute

// Need returns what a finder found. Where the tool is missing the test is skipped, or fails if CI=true.
func Need[T any](t testing.TB, find func() (T, error)) T {
	t.Helper()
	v, err := find()
	var missing *MissingError
	switch {
	case err == nil:
	case errors.As(err, &missing) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
	return v
}

// NeedShell is Need for a shell.
func NeedShell(t testing.TB, name string) string {
	t.Helper()
	return Need(t, func() (string, error) { return Shell(name) })
}

// NeedDlv returns the Delve that go.mod pins. It can always be built, so a failure is a failure.
func NeedDlv(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	path, err := Dlv(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
