package store

import (
	"slices"

	bolt "go.etcd.io/bbolt"
)

// readSchema tells which schema the file has.
func readSchema(tx *bolt.Tx) (int, error) {
	b := tx.Bucket([]byte(metaBucket.name))
	if b == nil {
		return 0, damagef("it is not a database of brokerd: it has no bucket %q", metaBucket.name)
	}
	value := b.Get([]byte(schemaKey))
	if value == nil {
		return 0, damagef("it is not a database of brokerd: it has no schema record")
	}
	var s schemaRecord
	if err := decode(metaBucket, []byte(schemaKey), value, &s); err != nil {
		return 0, err
	}
	if s.Owner != schemaOwner || s.Schema < 0 {
		return 0, damagef("it is not a database of brokerd: its owner is %.40q", s.Owner)
	}
	return s.Schema, nil
}

// audit reads every record of a file with this release's schema or an older one: it must hold its checksum, be of a version that
// we read, and its bucket's tally must be right.
func audit(tx *bolt.Tx) error {
	names := []string{metaBucket.name}
	for _, b := range dataBuckets() {
		names = append(names, b.name)
	}
	err := tx.ForEach(func(name []byte, _ *bolt.Bucket) error {
		if !slices.Contains(names, string(name)) {
			return damagef("it has a bucket that is not ours, %.40q", name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := auditMeta(tx); err != nil {
		return err
	}
	for _, b := range dataBuckets() {
		if err := auditBucket(tx, b); err != nil {
			return err
		}
	}
	return nil
}

func auditMeta(tx *bolt.Tx) error {
	return tx.Bucket([]byte(metaBucket.name)).ForEach(func(key, value []byte) error {
		known := string(key) == schemaKey || slices.ContainsFunc(dataBuckets(), func(b bucket) bool { return string(key) == tallyPrefix+b.name })
		if !known {
			return damagef("its bucket %q has a record that is not ours", metaBucket.name)
		}
		_, err := unseal(metaBucket.name, key, value)
		return err
	})
}

func auditBucket(tx *bolt.Tx, b bucket) error {
	records := tx.Bucket([]byte(b.name))
	if records == nil {
		return damagef("its bucket %q is missing", b.name)
	}
	var found tally
	err := records.ForEach(func(key, value []byte) error {
		e, err := unseal(b.name, key, value)
		if err != nil {
			return err
		}
		if e.version > b.version {
			return &NewerError{What: "record of " + b.name, Version: int(e.version), Known: int(b.version)}
		}
		found.Count, found.XOR = found.Count+1, found.XOR^e.crc
		return nil
	})
	if err != nil {
		return err
	}
	want, err := readTally(tx, b.name)
	if err != nil {
		return err
	}
	if want != found {
		return damagef("it holds %d records of %s where %d were written", found.Count, b.name, want.Count)
	}
	return nil
}
