package store

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInUse says that another process holds the database.
var ErrInUse = errors.New("database is in use by another process")

// ErrNotFound says that there is no such record.
var ErrNotFound = errors.New("no such record")

// DamagedError says that the file at Path is not a whole database of ours. The file was left as it is.
type DamagedError struct {
	Path string
	Why  string // what is wrong with it, a phrase
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("database %s is damaged: %s", e.Path, e.Why)
}

// Hint says how to go on, and what that costs.
func (e *DamagedError) Hint() string {
	return "nothing was changed; to go on without it, move it away yourself: " + moveAway(e.Path, ".damaged")
}

// NewerError says that a newer release wrote the file. The file was left as it is.
type NewerError struct {
	Path    string
	What    string // "schema", or the bucket whose record it is
	Version int    // found
	Known   int    // the newest that this release reads
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("database %s was written by a newer release: %s version %d, this release reads up to %d",
		e.Path, e.What, e.Version, e.Known)
}

// Hint says how to go on, and what that costs.
func (e *NewerError) Hint() string {
	return "start the newer release, or move the file away yourself: " + moveAway(e.Path, ".newer")
}

func moveAway(path, suffix string) string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	return "mv " + quote(path) + " " + quote(path+suffix) +
		"; what is lost then: the list of sessions, the forwards that were asked for by command, remembered local ports and clean-ups that are still due on hosts, nothing else"
}

// damage is a DamagedError whose path is not known yet.
type damage string

func (d damage) Error() string { return string(d) }

func damagef(format string, args ...any) error { return damage(fmt.Sprintf(format, args...)) }

// named turns damage found inside the file at path into a DamagedError, and leaves other errors as they are.
func named(path string, err error) error {
	var d damage
	if errors.As(err, &d) {
		return &DamagedError{Path: path, Why: string(d)}
	}
	var n *NewerError
	if errors.As(err, &n) {
		n.Path = path
	}
	return err
}
