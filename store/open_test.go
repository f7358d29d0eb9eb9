package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "db")
	s := mustOpen(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("file: %v %v", info, err)
	}
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("directory: %v %v", info, err)
		}
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if err := s.PutEntry(Entry{ID: "e"}); err == nil {
		t.Error("a closed store takes entries")
	}
}

func TestCreateSweeps(t *testing.T) {
	dir := t.TempDir()
	old, young := filepath.Join(dir, ".db.new-1"), filepath.Join(dir, ".db.new-2")
	for _, p := range []string{old, young} {
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, filepath.Join(dir, "db"))
	if _, err := os.Lstat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stale file: %v", err)
	}
	if _, err := os.Lstat(young); err != nil {
		t.Errorf("a file that another process may be at: %v", err)
	}
}

// TestCreateRace has several make the same database at once: one file, whole at every moment, and one holder.
func TestCreateRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	verify := selfVerifier(t, "verify-store")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := Open(t.Context(), path, Options{Timeout: 30 * time.Second, Verify: verify})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if names, _ := filepath.Glob(filepath.Dir(path) + "/.*"); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

func TestInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := mustOpen(t, path)
	_, err := Open(t.Context(), path, Options{Timeout: 60 * time.Millisecond})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("second open: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, path, Options{Timeout: time.Minute}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	// Within its time, the second open gets the file that the first lets go of.
	released := make(chan error, 1)
	go func() { released <- s.Close() }()
	second := mustOpen(t, path)
	if err := errors.Join(<-released, second.Close()); err != nil {
		t.Error(err)
	}
}

func TestOtherOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give a file away")
	}
	path := filepath.Join(t.TempDir(), "db")
	mustOpen(t, path).Close()
	if err := os.Chown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	var d *DamagedError
	if _, err := Open(t.Context(), path, Options{}); !errors.As(err, &d) || !strings.Contains(d.Why, "65534") {
		t.Errorf("error: %v", err)
	}
}

func TestForeignBolt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte("somebody else's"))
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	if !refuses(t, "another program's bbolt file", b, contents{}) {
		t.Error("opened")
	}
}

// edit changes an existing database behind the store's back.
func edit(t *testing.T, path string, do func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(do), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestNewer(t *testing.T) {
	for what, do := range map[string]func(tx *bolt.Tx) error{
		"schema": func(tx *bolt.Tx) error {
			if _, err := tx.CreateBucket([]byte("something new")); err != nil {
				return err
			}
			return writeMeta(tx, schemaKey, schemaRecord{Owner: schemaOwner, Schema: schemaVersion + 1})
		},
		"record of sessions": func(tx *bolt.Tx) error {
			value, err := seal(bucket{sessionsBucket.name, 2}, []byte("s1"), "another form")
			return errors.Join(err, replace(tx, sessionsBucket, []byte("s1"), value))
		},
		"record of meta": func(tx *bolt.Tx) error {
			value, err := seal(bucket{metaBucket.name, 2}, []byte(schemaKey), "another form")
			return errors.Join(err, tx.Bucket([]byte(metaBucket.name)).Put([]byte(schemaKey), value))
		},
	} {
		path := filepath.Join(t.TempDir(), "db")
		mustOpen(t, path).Close()
		edit(t, path, do)
		before, _ := os.ReadFile(path)
		_, err := Open(t.Context(), path, Options{Verify: selfVerifier(t, "verify-store")})
		var n *NewerError
		known := 1
		if what == "schema" {
			known = schemaVersion
		}
		if !errors.As(err, &n) || n.Path != path || n.What != what || n.Version != known+1 || n.Known != known {
			t.Errorf("%s: %v", what, err)
		} else if !strings.Contains(err.Error(), path) || !strings.Contains(n.Hint(), "newer release") {
			t.Errorf("%s: %q, hint %q", what, err, n.Hint())
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s: the file was changed", what)
		}
	}
}

// TestMissingRecord takes a record away as a page that lost its last element would.
func TestMissingRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := mustOpen(t, path)
	if err := errors.Join(s.PutEntry(Entry{ID: "e1"}), s.PutEntry(Entry{ID: "e2"}), s.Close()); err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(tx *bolt.Tx) error { return tx.Bucket([]byte(ledgerBucket.name)).Delete([]byte("e2")) })
	var d *DamagedError
	if err := VerifyInProcess(path); !errors.As(err, &d) || !strings.Contains(d.Why, "1 records of ledger where 2") {
		t.Errorf("error: %v", err)
	}
}

// strip takes a bucket out of a database as one of before it was there has it.
func strip(tx *bolt.Tx, b bucket) error {
	return errors.Join(tx.DeleteBucket([]byte(b.name)), tx.Bucket([]byte(metaBucket.name)).Delete([]byte(tallyPrefix+b.name)))
}

// TestMigrateFromFirst opens a database of the first schema, which has no forwards, with all that is in it.
func TestMigrateFromFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := mustOpen(t, path)
	if err := errors.Join(s.PutSession(Session{ID: "s1", Host: "web1"}), s.SetPort("web1", "go", 4000), s.Close()); err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(tx *bolt.Tx) error {
		return errors.Join(strip(tx, forwardsBucket), writeMeta(tx, schemaKey, schemaRecord{Owner: schemaOwner, Schema: 1}))
	})
	s = mustOpen(t, path)
	if v, err := s.Session("s1"); err != nil || v.Host != "web1" {
		t.Errorf("session: %+v %v", v, err)
	}
	want := Forward{Name: "pg", Host: "web1", Kind: "local", Listen: Endpoint{Port: 5432}, Target: Endpoint{Host: "db", Port: 5432}, Created: time.Now().UTC().Truncate(0)}
	if err := errors.Join(s.PutForward(want), s.PutForward(Forward{Name: "a"}), s.DeleteForward("a"), s.DeleteForward("a"), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, path)
	if all, err := s.Forwards(); err != nil || len(all) != 1 || all[0] != want {
		t.Errorf("forwards: %+v %v", all, err)
	}
}

// TestForwardPort: a forward's port is none of a language's, and outlives the forward.
func TestForwardPort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := mustOpen(t, path)
	err := errors.Join(s.PutForward(Forward{Name: "pg"}), s.SetForwardPort("web1", 5000), s.SetPort("web1", "go", 4000), s.DeleteForward("pg"), s.Close())
	if err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, path)
	if port, err := s.ForwardPort("web1"); err != nil || port != 5000 {
		t.Errorf("port %d, %v", port, err)
	}
	if port, err := s.ForwardPort("web2"); err != nil || port != 0 {
		t.Errorf("of one that never was: %d, %v", port, err)
	}
	if err := s.SetForwardPort("web1", 0); err == nil {
		t.Error("port 0 was taken")
	}
}

func TestMigrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	mustOpen(t, path).Close()
	// A version 0 that never was: its sessions had no envelope of ours but a plain name, in a bucket "old".
	edit(t, path, func(tx *bolt.Tx) error {
		old, err := tx.CreateBucket([]byte("old"))
		return errors.Join(err, old.Put([]byte("s1"), []byte("web1")),
			writeMeta(tx, schemaKey, schemaRecord{Owner: schemaOwner, Schema: 0}), strip(tx, forwardsBucket))
	})
	verify := selfVerifier(t, "verify-store")
	var d *DamagedError
	if _, err := open(t.Context(), path, Options{Verify: verify}, nil); !errors.As(err, &d) {
		t.Errorf("no way from 0: %v", err)
	}
	broken := errors.New("broken")
	steps := func(fail error) []migration {
		return append(migrations(), migration{from: 0, do: func(tx *bolt.Tx) error {
			host := string(tx.Bucket([]byte("old")).Get([]byte("s1")))
			value, err := seal(sessionsBucket, []byte("s1"), Session{ID: "s1", Host: host})
			return errors.Join(err, replace(tx, sessionsBucket, []byte("s1"), value), tx.DeleteBucket([]byte("old")), fail)
		}})
	}
	if _, err := open(t.Context(), path, Options{Verify: verify}, steps(broken)); !errors.Is(err, broken) {
		t.Errorf("a migration that fails: %v", err)
	}
	s, err := open(t.Context(), path, Options{Verify: verify}, steps(nil)) // from 0 again: the failed one left nothing
	if err != nil {
		t.Fatal(err)
	}
	if v, err := s.Session("s1"); err != nil || v.Host != "web1" {
		t.Errorf("session: %+v %v", v, err)
	}
	s.Close()
	again := mustOpen(t, path)
	if v, err := again.Session("s1"); err != nil || v.Host != "web1" {
		t.Errorf("session after reopening: %+v %v", v, err)
	}
}

func TestReplacedWhileChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	mustOpen(t, path).Close()
	_, err := Open(t.Context(), path, Options{Verify: func(context.Context, string) error {
		b, err := os.ReadFile(path)
		return errors.Join(err, os.Remove(path), os.WriteFile(path+"2", b, 0o600), os.Rename(path+"2", path))
	}})
	if err == nil || !strings.Contains(err.Error(), "replaced") {
		t.Errorf("error: %v", err)
	}
}

func TestChildVerifier(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "db")
	mustOpen(t, path).Close()
	var d *DamagedError

	if err := ChildVerifier(exe, "verify-store")(t.Context(), path); err != nil {
		t.Errorf("whole: %v", err)
	}
	if err := ChildVerifier(exe, "crash")(t.Context(), path); !errors.As(err, &d) || !strings.Contains(d.Why, "crashed: panic: crashed?[31m on purpose") {
		t.Errorf("crash: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := ChildVerifier(exe, "hang")(ctx, path); errors.As(err, &d) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("caller gave up: %v", err)
	}
	if err := ChildVerifier(exe+"-not-there")(t.Context(), path); errors.As(err, &d) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such program: %v", err)
	}
	if err := ChildVerifier(exe, "verify-store")(t.Context(), path+"-not-there"); err == nil || errors.As(err, &d) {
		t.Errorf("no such database: %v", err)
	}
	held, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := VerifyInProcess(path); !errors.Is(err, ErrInUse) {
		t.Errorf("held by another: %v", err)
	}
}
