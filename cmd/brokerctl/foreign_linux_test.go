package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/debugbroker/debugbroker/broker/api"
)

// listenAs returns a listener that another user has made: the kernel notes who calls listen(2). The raw system call changes one
// thread only, unlike syscall.Setresuid. The caller gives a goroutine of its own for that: the thread ends with it.
func listenAs(socket string, uid int) (net.Listener, error) {
	runtime.LockOSThread()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), socket)
	defer file.Close()
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
		return nil, err
	}
	keep := ^uintptr(0)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep); errno != 0 {
		return nil, errno
	}
	if err := unix.Listen(fd, 8); err != nil {
		return nil, err
	}
	return net.FileListener(file)
}

// A daemon of another user that listens in a place of ours is told nothing, not even who asks.
func TestForeignListenerIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	dir := t.TempDir()
	state := filepath.Join(dir, "s")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(state, "broker.sock")
	f := newFake(api.DaemonInfo{API: api.Version})
	type result struct {
		l   net.Listener
		err error
	}
	listening := make(chan result)
	go func() {
		l, err := listenAs(socket, 12345)
		listening <- result{l, err}
	}()
	r := <-listening
	if r.err != nil {
		t.Fatal(r.err)
	}
	defer f.serve(r.l)()
	cmd := exec.Command("brokerctl", "open", "web1:python", "--", "app.py")
	cmd.Env = environ(dir)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("%v: %s", err, out)
	}
	if want := "error: " + socket + ": another user's process listens (uid 12345)\nhint: nothing was sent; set BROKER_STATE_DIR to a directory of yours\n"; string(out) != want {
		t.Errorf("it says %q", out)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) > 0 {
		t.Errorf("it was asked for %v", f.calls)
	}
}
