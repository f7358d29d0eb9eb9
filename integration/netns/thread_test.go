//go:build linux

package netns

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// The process's first thread is the main goroutine's from here on, so that TestMain runs on it.
func init() { runtime.LockOSThread() }

var fromFirst, ran int

func TestMain(m *testing.M) {
	fromFirst = unix.Gettid()
	onItsOwnThread(func() { ran = unix.Gettid() })
	os.Exit(m.Run())
}

// What is begun on the process's first thread runs on another: its network is what /proc/net shows the whole process, for ever.
func TestNotOnTheFirstThread(t *testing.T) {
	if fromFirst != unix.Getpid() {
		t.Fatalf("TestMain ran on thread %d of %d", fromFirst, unix.Getpid())
	}
	if ran == 0 || ran == fromFirst {
		t.Errorf("ran on thread %d", ran)
	}
}
