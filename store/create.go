package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// create makes an empty database at path, which does not exist. It is made under another name and linked into place, so that
// nobody ever sees half of one. Where another process was faster, its file stays.
func create(path string) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	pattern := "." + filepath.Base(path) + ".new-*"
	sweep(filepath.Join(dir, pattern))
	f, err := os.CreateTemp(dir, pattern) // 0600
	if err != nil {
		return err
	}
	temp := f.Name()
	defer os.Remove(temp)
	f.Close()
	db, err := bolt.Open(temp, 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	err = db.Update(lay)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := place(temp, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// lay writes what a new database begins with.
func lay(tx *bolt.Tx) error {
	if _, err := tx.CreateBucket([]byte(metaBucket.name)); err != nil {
		return err
	}
	for _, b := range dataBuckets() {
		if err := layBucket(tx, b); err != nil {
			return err
		}
	}
	return writeMeta(tx, schemaKey, schemaRecord{Owner: schemaOwner, Schema: schemaVersion})
}

// layBucket makes a bucket with nothing in it.
func layBucket(tx *bolt.Tx, b bucket) error {
	if _, err := tx.CreateBucket([]byte(b.name)); err != nil {
		return err
	}
	return writeMeta(tx, tallyPrefix+b.name, tally{})
}

// place gives temp its name without ever replacing a file that is there.
func place(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	// A file system without hard links. The daemon's lock keeps others from the moment between looking and renaming.
	if _, serr := os.Lstat(path); !errors.Is(serr, fs.ErrNotExist) {
		return fmt.Errorf("put database in place: %w", err)
	}
	return os.Rename(temp, path)
}

// sweep removes what a process that died within create left behind.
func sweep(pattern string) {
	stale, _ := filepath.Glob(pattern)
	for _, p := range stale {
		if info, err := os.Lstat(p); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > time.Hour {
			os.Remove(p)
		}
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
