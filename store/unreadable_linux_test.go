package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUnreadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	mustOpen(t, path).Close()
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // root reads everything: this thread gives that up
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if _, err := unix.SetfsuidRetUid(65534); err != nil {
			t.Fatal(err)
		}
		defer unix.SetfsuidRetUid(0)
		// The test's directories are not ours any more either.
		for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			unix.SetfsuidRetUid(0)
			err := os.Chmod(dir, 0o755)
			unix.SetfsuidRetUid(65534)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err := Open(t.Context(), path, Options{})
	var d *DamagedError
	if !errors.Is(err, fs.ErrPermission) || errors.As(err, &d) || strings.Count(err.Error(), path) != 1 {
		t.Errorf("error: %v", err)
	}
}
