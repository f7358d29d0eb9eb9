// Package store keeps what must outlive the daemon: the sessions and forwards that were asked for, the ledger of what must be cleaned
// up on remote hosts, and the local port that a host and language, or a forward, had before. It is one bbolt file, 0600.
//
// It keeps intent, never live state, and no environment values.
//
// # Damage
//
// bbolt maps its file into memory and trusts it: a flipped bit ends in a panic in a goroutine of its own, or in a SIGBUS, and no
// caller can recover from either. So an existing file goes through three gates before this process maps it:
//
//  1. The file itself, read and not mapped: a regular file of ours, both meta pages whole and one transaction apart, every page
//     in use by exactly one thing, nothing that reaches out of its page or the file (inspect, walk).
//  2. A child process (ChildVerifier, VerifyMain) maps it and reads everything: bbolt's own consistency check, each record's
//     checksum, and each bucket's tally. If the child crashes or does not end, the file is damaged.
//  3. After opening, versions: a newer release's file or record is a NewerError.
//
// What does not pass is named (DamagedError) and left exactly as it is: never moved, cut or written to. A new file is made under
// a temporary name and linked into place, so an empty file at the path was never ours and is damage too.
//
// A meta page that does not hold its checksum is damage even though bbolt would go on with the other one: it cannot be told
// whether the lost one was acknowledged, and going back one transaction could forget a clean-up.
//
// # Layout
//
// Buckets meta, sessions, ledger, ports and, since schema 2, forwards. Each value is an envelope: version (2 bytes), CRC-32C (4 bytes) over bucket, key,
// version and payload, then JSON. The bucket meta holds the schema's version and a tally for each other bucket, its number of
// records and the XOR of their checksums, so that a record that fell out of a page is missed.
//
// # Goroutines and invariants
//
// The package starts no goroutines that outlive a call. A Store is safe for concurrent use. A method that changes something
// returns when the change is on the disk (fsync). Every wait is bounded: for the file's lock by Options.Timeout, for the child by
// its own limit.
//
// It does not guard the directory (the daemon does, together with its lock), does not watch the file while it is open, and does
// not interpret what it keeps.
package store
