package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Options tell how a database is opened.
type Options struct {
	// Timeout is how long to wait for another process to let go of the file; 0 is 3 s.
	Timeout time.Duration
	// Verify checks an existing file before this process maps it: see ChildVerifier. nil trusts the file and is for tests.
	Verify func(ctx context.Context, path string) error
}

// Store is an open database.
type Store struct {
	db   *bolt.DB
	path string
}

// Open opens the database at path and makes it, and its directory (0700), where there is none. Errors: ErrInUse, *DamagedError,
// *NewerError, or what the system says.
func Open(ctx context.Context, path string, opt Options) (*Store, error) {
	return open(ctx, path, opt, migrations())
}

func open(ctx context.Context, path string, opt Options, steps []migration) (*Store, error) {
	if opt.Timeout <= 0 {
		opt.Timeout = 3 * time.Second
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("create database %s: %w", path, err)
		}
	}
	f, err := openFile(path)
	if err != nil {
		return nil, fail(path, err)
	}
	if err := check(ctx, f, path, opt); err != nil {
		f.Close()
		return nil, fail(path, err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout: opt.Timeout,
		// The very file that was checked, whatever stands at the path by now.
		OpenFile: func(string, int, fs.FileMode) (*os.File, error) { return f, nil },
	})
	if err != nil {
		return nil, fail(path, openError(err))
	}
	if err := upgrade(db, steps); err != nil {
		return nil, fail(path, errors.Join(err, db.Close()))
	}
	if err := db.View(audit); err != nil {
		return nil, fail(path, errors.Join(err, db.Close()))
	}
	return &Store{db: db, path: path}, nil
}

// fail puts the file's name into an error that Open returns.
func fail(path string, err error) error {
	err = named(path, err)
	var damaged *DamagedError
	var newer *NewerError
	switch {
	case errors.As(err, &damaged):
		return damaged
	case errors.As(err, &newer):
		return newer
	}
	var sys *fs.PathError
	if errors.As(err, &sys) && sys.Path == path {
		err = sys.Err // the path is named already
	}
	return fmt.Errorf("open database %s: %w", path, err)
}

// check passes the file through the gates before it is mapped. It holds a shared lock meanwhile: nobody writes while we look, and
// the child, which takes one too, gets it.
func check(ctx context.Context, f *os.File, path string, opt Options) error {
	if err := shareLock(ctx, f, opt.Timeout); err != nil {
		return err
	}
	if err := inspect(f); err != nil {
		return err
	}
	if opt.Verify == nil {
		return nil
	}
	if err := opt.Verify(ctx, path); err != nil {
		return err
	}
	checked, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if ours, err := f.Stat(); err != nil || !os.SameFile(checked, ours) {
		return errors.Join(errors.New("the file was replaced while it was checked"), err)
	}
	return nil
}

// shareLock waits for a shared lock on the file. bbolt turns it into its exclusive one later.
func shareLock(ctx context.Context, f *os.File, timeout time.Duration) error {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	tick := time.NewTicker(25 * time.Millisecond) // flock cannot be waited for with a bound
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return ErrInUse
		case <-tick.C:
		}
	}
}

// Close waits for what is under way and lets go of the file. Closing twice is no error.
func (s *Store) Close() error { return s.db.Close() }
