package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// How VerifyMain ends. A Go program that crashes ends with 2, so that is not among them.
const (
	exitWhole   = 0
	exitDamaged = 3
	exitUnknown = 4 // could not look: permission, in use, …
)

const (
	verifyLimit    = 30 * time.Second
	verifyMaxStack = 64 << 20 // a recursion without end ends the child soon, not at Go's 1 GB
)

// VerifyMain is the child of ChildVerifier: it checks the database at path, writes what is wrong to stderr, and returns the
// process's exit status. It changes limits of the whole process and ends it when its time is up.
func VerifyMain(path string, stderr io.Writer) int {
	debug.SetMaxStack(verifyMaxStack)
	// The parent ends us at the same limit; this is for a parent that died.
	timer := time.AfterFunc(verifyLimit+time.Second, func() { os.Exit(exitUnknown) })
	defer timer.Stop()
	err := VerifyInProcess(path)
	var damaged *DamagedError
	switch {
	case err == nil:
		return exitWhole
	case errors.As(err, &damaged):
		fmt.Fprintln(stderr, damaged.Why)
		return exitDamaged
	default:
		fmt.Fprintln(stderr, err)
		return exitUnknown
	}
}

// VerifyInProcess reads the whole database at path: structure, records, tallies. It never writes. A damaged file may crash the
// process: call it from a child only. A file of a newer release passes where its structure is whole.
func VerifyInProcess(path string) (err error) {
	f, err := openFile(path)
	if err != nil {
		return named(path, err)
	}
	if err := inspect(f); err != nil {
		f.Close()
		return named(path, err)
	}
	// Turns a fault in this goroutine into a panic, and so into a better reason. bbolt's check runs in one of its own, where it
	// remains a crash.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = &DamagedError{Path: path, Why: fmt.Sprintf("reading it fails: %v", r)}
		}
	}()
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		ReadOnly:        true,
		PreLoadFreelist: true,
		Timeout:         time.Second,
		OpenFile:        func(string, int, fs.FileMode) (*os.File, error) { return f, nil },
	})
	if err != nil {
		return named(path, openError(err))
	}
	// Not deferred: after a panic with a transaction open, Close would wait for it for ever. The process ends anyway.
	err = db.View(checkAll)
	db.Close()
	return named(path, err)
}

func checkAll(tx *bolt.Tx) error {
	var first error
	for err := range tx.Check() { // to its end: its goroutine blocks otherwise
		if first == nil {
			first = damagef("%v", err)
		}
	}
	if first != nil {
		return first
	}
	schema, err := readSchema(tx)
	if err == nil && schema == schemaVersion {
		err = audit(tx)
	}
	var newer *NewerError
	if errors.As(err, &newer) {
		return nil // whole, as far as we can know; the parent says what is new about it
	}
	return err
}

// openError classifies what bbolt says at opening.
func openError(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrInUse
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrChecksum):
		return damagef("%v", err)
	}
	return fmt.Errorf("open database: %w", err)
}
