package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/broker/api"
)

// wantAPIError checks an error's code and that its message and hint say certain things.
func wantAPIError(t *testing.T, err error, code api.Code, message, hint string) {
	t.Helper()
	var e *api.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, message) || !strings.Contains(e.Hint, hint) {
		t.Errorf("error %v (%+v), want %s, %q, hint %q", err, e, code, message, hint)
	}
}

func TestStateDirMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "debugbroker")
	for range 2 { // made, then found
		if err := openStateDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info, err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := openStateDir(link); err != nil {
		t.Errorf("a link to a directory of ours: %v", err)
	}
}

func TestStateDirRefused(t *testing.T) {
	dir := t.TempDir()
	for _, mode := range []os.FileMode{0o750, 0o705, 0o777, 0o701} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		wantAPIError(t, openStateDir(dir), api.CodeDaemon, fmt.Sprintf("%04o", mode), "chmod 700 '"+dir+"'")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := openStateDir(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file: %v", err)
	}
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Chmod(dir, 0o700), os.Chown(dir, 65534, 65534)); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(dir, link); err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{dir, link} {
			wantAPIError(t, openStateDir(d), api.CodeDaemon, "uid 65534", "BROKER_STATE_DIR")
		}
	}
}

func TestSecondDaemon(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	release, err := takeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, lockName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	_, err = takeLock(dir)
	wantAPIError(t, err, api.CodeDaemon, fmt.Sprintf("pid %d", os.Getpid()), "brokerctl stop")

	// Whatever the file says, it only ever changes the words.
	for _, content := range []string{"", "x", "-1", strings.Repeat("9", 100)} {
		if err := os.WriteFile(filepath.Join(dir, lockName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = takeLock(dir)
		wantAPIError(t, err, api.CodeDaemon, "another brokerd is running for "+dir, "brokerctl stop")
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	release, err = takeLock(dir)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
}

func TestOneOfManyDaemons(t *testing.T) {
	dir := t.TempDir()
	var held atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := takeLock(dir); err == nil { // kept until the test ends
				held.Add(1)
			}
		})
	}
	wg.Wait()
	if n := held.Load(); n != 1 {
		t.Errorf("%d hold the lock", n)
	}
}

func TestLockNotAFile(t *testing.T) {
	dir := t.TempDir()
	path, target := filepath.Join(dir, lockName), filepath.Join(dir, "target")
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	_, err := takeLock(dir)
	wantAPIError(t, err, api.CodeDaemon, "symbolic link", "remove")
	if _, err := os.Lstat(target); err == nil {
		t.Error("the link was followed")
	}
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err = takeLock(dir) // must not hang either
	wantAPIError(t, err, api.CodeDaemon, "not a file", "remove")
}
