package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"
)

// bucket is a kind of record. Version is the newest form of its records that this release reads, and the one that it writes.
type bucket struct {
	name    string
	version uint16
}

var (
	metaBucket     = bucket{"meta", 1}
	sessionsBucket = bucket{"sessions", 1}
	ledgerBucket   = bucket{"ledger", 1}
	portsBucket    = bucket{"ports", 1}
	forwardsBucket = bucket{"forwards", 1}
)

// dataBuckets are those with a tally.
func dataBuckets() []bucket {
	return []bucket{sessionsBucket, ledgerBucket, portsBucket, forwardsBucket}
}

const (
	envelopeHead = 6 // version, crc
	schemaKey    = "schema"
	tallyPrefix  = "tally:"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers the place of a record too, so that a flipped bit in a key or a bucket's name is seen.
func checksum(bucket string, key []byte, version uint16, payload []byte) uint32 {
	c := crc32.Update(0, castagnoli, []byte(bucket))
	c = crc32.Update(c, castagnoli, []byte{0})
	c = crc32.Update(c, castagnoli, key)
	c = crc32.Update(c, castagnoli, []byte{0, byte(version >> 8), byte(version)})
	return crc32.Update(c, castagnoli, payload)
}

// seal makes the envelope of a record.
func seal(b bucket, key []byte, v any) ([]byte, error) {
	payload, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode record of %s: %w", b.name, err)
	}
	out := make([]byte, envelopeHead, envelopeHead+len(payload))
	binary.BigEndian.PutUint16(out, b.version)
	binary.BigEndian.PutUint32(out[2:], checksum(b.name, key, b.version, payload))
	return append(out, payload...), nil
}

// envelope is a record that holds its checksum. payload points into bbolt's memory: it ends with the transaction.
type envelope struct {
	version uint16
	crc     uint32
	payload []byte
}

// unseal checks a record's envelope. It does not look at the version.
func unseal(bucket string, key, value []byte) (envelope, error) {
	if len(value) < envelopeHead {
		return envelope{}, damagef("a record of %s is cut short", bucket)
	}
	e := envelope{binary.BigEndian.Uint16(value), binary.BigEndian.Uint32(value[2:]), value[envelopeHead:]}
	if checksum(bucket, key, e.version, e.payload) != e.crc {
		return envelope{}, damagef("a record of %s does not hold its checksum", bucket)
	}
	return e, nil
}

// decode unseals a record and reads it into v.
func decode(b bucket, key, value []byte, v any) error {
	e, err := unseal(b.name, key, value)
	if err != nil {
		return err
	}
	if e.version > b.version {
		return &NewerError{What: "record of " + b.name, Version: int(e.version), Known: int(b.version)}
	}
	if err := json.Unmarshal(e.payload, v); err != nil {
		return damagef("a record of %s cannot be read: %v", b.name, err)
	}
	return nil
}

// tally is the number of a bucket's records and the XOR of their checksums.
type tally struct {
	Count int    `json:"n"`
	XOR   uint32 `json:"x"`
}

func readTally(tx *bolt.Tx, name string) (tally, error) {
	key := []byte(tallyPrefix + name)
	value := tx.Bucket([]byte(metaBucket.name)).Get(key)
	if value == nil {
		return tally{}, damagef("the tally of %s is missing", name)
	}
	var t tally
	return t, decode(metaBucket, key, value, &t)
}

func writeMeta(tx *bolt.Tx, key string, v any) error {
	value, err := seal(metaBucket, []byte(key), v)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(metaBucket.name)).Put([]byte(key), value)
}

// replace sets or, with a nil value, deletes a record and keeps its bucket's tally true.
func replace(tx *bolt.Tx, b bucket, key, value []byte) error {
	t, err := readTally(tx, b.name)
	if err != nil {
		return err
	}
	records := tx.Bucket([]byte(b.name))
	if old := records.Get(key); old != nil {
		e, err := unseal(b.name, key, old)
		if err != nil {
			return err
		}
		t.Count, t.XOR = t.Count-1, t.XOR^e.crc
	}
	if value == nil {
		err = records.Delete(key)
	} else {
		t.Count, t.XOR = t.Count+1, t.XOR^binary.BigEndian.Uint32(value[2:])
		err = records.Put(key, value)
	}
	if err != nil {
		return err
	}
	return writeMeta(tx, tallyPrefix+b.name, t)
}
