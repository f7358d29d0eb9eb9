package store

import (
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// migration brings a file from schema `from` to the next one, inside the transaction that also writes the new schema's number: it
// happens as a whole or not at all.
type migration struct {
	from int
	do   func(*bolt.Tx) error
}

// migrations is the way from each older schema. Version 1 is the first.
func migrations() []migration {
	return []migration{
		{from: 1, do: func(tx *bolt.Tx) error { return layBucket(tx, forwardsBucket) }},
	}
}

// upgrade brings an open file to this release's schema. It does not touch a file that has it already.
func upgrade(db *bolt.DB, steps []migration) error {
	have := 0
	err := db.View(func(tx *bolt.Tx) (err error) {
		have, err = readSchema(tx)
		return err
	})
	if err != nil || have == schemaVersion {
		return err
	}
	if have > schemaVersion {
		return &NewerError{What: "schema", Version: have, Known: schemaVersion}
	}
	return db.Update(func(tx *bolt.Tx) error {
		for v := have; v < schemaVersion; v++ {
			if err := step(tx, steps, v); err != nil {
				return err
			}
		}
		return writeMeta(tx, schemaKey, schemaRecord{Owner: schemaOwner, Schema: schemaVersion})
	})
}

func step(tx *bolt.Tx, steps []migration, from int) error {
	for _, m := range steps {
		if m.from == from {
			if err := m.do(tx); err != nil {
				return fmt.Errorf("migrate database from schema %d: %w", from, err)
			}
			return nil
		}
	}
	return damagef("its schema, version %d, was never one", from)
}
