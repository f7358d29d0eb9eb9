package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/gofrs/flock"

	"github.com/debugbroker/debugbroker/broker/api"
)

// lockName is the file in the state directory that a running daemon holds a lock on. It stays when the daemon ends: a lock file that
// is removed can be held twice.
const lockName = "brokerd.lock"

// openStateDir makes the state directory, or refuses one that other users could reach into.
func openStateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	info, err := os.Stat(dir) // follows a link: what it leads to must be ours
	if err != nil {
		return fmt.Errorf("look at state directory: %w", err)
	}
	if !info.IsDir() {
		return &api.Error{Code: api.CodeDaemon, Message: "state directory " + dir + " is not a directory", Hint: "move it away, or set BROKER_STATE_DIR"}
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return &api.Error{
			Code:    api.CodeDaemon,
			Message: fmt.Sprintf("state directory %s belongs to another user (uid %d)", dir, st.Uid),
			Hint:    "set BROKER_STATE_DIR to a directory of your own",
		}
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return &api.Error{
			Code:    api.CodeDaemon,
			Message: fmt.Sprintf("state directory %s can be reached by other users (mode %04o)", dir, mode),
			Hint:    "chmod 700 '" + strings.ReplaceAll(dir, "'", `'\''`) + "'",
		}
	}
	return nil
}

// takeLock makes this process the only daemon of a state directory until release is called or the process ends.
func takeLock(dir string) (release func() error, err error) {
	path := filepath.Join(dir, lockName)
	lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK), flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	switch {
	case errors.Is(err, syscall.ELOOP):
		return nil, &api.Error{Code: api.CodeDaemon, Message: path + " is a symbolic link", Hint: "remove it"}
	case err != nil:
		return nil, fmt.Errorf("lock %s: %w", path, err)
	case !held:
		return nil, otherDaemon(dir, path)
	}
	if info, err := lock.Stat(); err != nil || !info.Mode().IsRegular() {
		refused := &api.Error{Code: api.CodeDaemon, Message: path + " is not a file", Hint: "remove it"}
		return nil, errors.Join(refused, err, lock.Unlock())
	}
	if err := writePID(path); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	return lock.Unlock, nil
}

// writePID tells the next daemon who holds the lock. It is for people; nothing is ever done to that pid.
func writePID(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("write pid: %w", err)
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write pid: %w", err)
	}
	return nil
}

func otherDaemon(dir, path string) error {
	who := ""
	if pid, err := readPID(path); err == nil {
		who = fmt.Sprintf(" (pid %d)", pid)
	}
	return &api.Error{
		Code:    api.CodeDaemon,
		Message: fmt.Sprintf("another brokerd%s is running for %s", who, dir),
		Hint:    "brokerctl stop ends it; for a second one beside it set BROKER_STATE_DIR",
	}
}

func readPID(path string) (int, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return 0, errors.Join(fs.ErrInvalid, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 1 {
		return 0, fs.ErrInvalid
	}
	return pid, nil
}
