package store

import (
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// PutSession writes a session; one of the same id is replaced.
func (s *Store) PutSession(v Session) error { return put(s, sessionsBucket, v.ID, v) }

// Session returns one session, or ErrNotFound.
func (s *Store) Session(id string) (Session, error) { return get[Session](s, sessionsBucket, id) }

// Sessions returns all sessions in the order of their ids.
func (s *Store) Sessions() ([]Session, error) { return all[Session](s, sessionsBucket) }

// Prune forgets the sessions that ended before a moment, and tells how many.
func (s *Store) Prune(before time.Time) (int, error) {
	gone := 0
	err := s.db.Update(func(tx *bolt.Tx) error {
		gone = 0
		var ids []string
		err := each(tx, sessionsBucket, func(v Session) {
			if v.Ended != nil && v.Ended.Before(before) {
				ids = append(ids, v.ID)
			}
		})
		for _, id := range ids {
			err = errors.Join(err, replace(tx, sessionsBucket, []byte(id), nil))
			gone++
		}
		return err
	})
	if err != nil {
		return 0, s.wrap("prune sessions", err)
	}
	return gone, nil
}

// PutEntry writes a line of the ledger. When it returns nil the line is on the disk, and only then may the remote act begin.
func (s *Store) PutEntry(v Entry) error { return put(s, ledgerBucket, v.ID, v) }

// Entries returns the ledger in the order of its ids.
func (s *Store) Entries() ([]Entry, error) { return all[Entry](s, ledgerBucket) }

// DeleteEntry strikes a line off the ledger. One that is not there is no error.
func (s *Store) DeleteEntry(id string) error { return s.remove(ledgerBucket, id) }

// Port returns the local port that a host and language had last; 0 if none is known.
func (s *Store) Port(host, lang string) (int, error) {
	v, err := get[portRecord](s, portsBucket, portKey(host, lang))
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return v.Port, err
}

// SetPort remembers the local port of a host and language.
func (s *Store) SetPort(host, lang string, port int) error {
	if port < 1 || port > 65535 {
		return fmt.Errorf("remember port %d: out of range", port)
	}
	return put(s, portsBucket, portKey(host, lang), portRecord{Port: port})
}

// PutForward writes a forward; one of the same name is replaced.
func (s *Store) PutForward(v Forward) error { return put(s, forwardsBucket, v.Name, v) }

// Forwards returns all forwards in the order of their names.
func (s *Store) Forwards() ([]Forward, error) { return all[Forward](s, forwardsBucket) }

// DeleteForward forgets a forward, but not its port. One that is not there is no error.
func (s *Store) DeleteForward(name string) error { return s.remove(forwardsBucket, name) }

// ForwardPort returns the port that a forward without one of its own had last; 0 if none is known. key says which forward it is.
func (s *Store) ForwardPort(key string) (int, error) { return s.Port(key, forwardPorts) }

// SetForwardPort remembers the port of a forward.
func (s *Store) SetForwardPort(key string, port int) error { return s.SetPort(key, forwardPorts, port) }

// forwardPorts stands for the language in the keys of forwards' ports; no language is called so.
const forwardPorts = "forward"

// portKey: lang is one of ours and holds no zero byte, so the key is unambiguous whatever the host is.
func portKey(host, lang string) string { return lang + "\x00" + host }

func put[T any](s *Store, b bucket, key string, v T) error {
	value, err := seal(b, []byte(key), v)
	if err == nil {
		err = s.db.Update(func(tx *bolt.Tx) error { return replace(tx, b, []byte(key), value) })
	}
	return s.wrap("write to "+b.name, err)
}

func (s *Store) remove(b bucket, key string) error {
	return s.wrap("delete from "+b.name, s.db.Update(func(tx *bolt.Tx) error {
		if tx.Bucket([]byte(b.name)).Get([]byte(key)) == nil {
			return nil
		}
		return replace(tx, b, []byte(key), nil)
	}))
}

func get[T any](s *Store, b bucket, key string) (T, error) {
	var v T
	err := s.db.View(func(tx *bolt.Tx) error {
		value := tx.Bucket([]byte(b.name)).Get([]byte(key))
		if value == nil {
			return ErrNotFound
		}
		return decode(b, []byte(key), value, &v)
	})
	return v, s.wrap("read "+b.name, err)
}

func all[T any](s *Store, b bucket) ([]T, error) {
	var out []T
	err := s.db.View(func(tx *bolt.Tx) error {
		return each(tx, b, func(v T) { out = append(out, v) })
	})
	return out, s.wrap("read "+b.name, err)
}

func each[T any](tx *bolt.Tx, b bucket, do func(T)) error {
	return tx.Bucket([]byte(b.name)).ForEach(func(key, value []byte) error {
		var v T
		if err := decode(b, key, value, &v); err != nil {
			return err
		}
		do(v)
		return nil
	})
}

func (s *Store) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, named(s.path, err))
}
