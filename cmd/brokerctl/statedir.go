package main

import (
	"fmt"
	"os"

	"github.com/debugbroker/debugbroker/broker/api"
)

// makePrivate makes dir with mode 0700. One that exists is tightened where it is empty, and so nothing but ours can be in it;
// otherwise it is refused where others may write, and left alone where they may only read: somebody may have pointed
// BROKER_STATE_DIR at a directory with other uses, and a chmod of /tmp or / would do harm.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return stateError(fmt.Errorf("make the state directory: %w", err))
	}
	if err := ownedByUs(dir); err != nil { // somebody may have been faster
		return err
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return stateError(fmt.Errorf("look at the state directory: %w", err))
	}
	if fi.Mode().Perm()&0o077 == 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	switch {
	case err != nil:
		return stateError(fmt.Errorf("look into the state directory: %w", err))
	case len(entries) == 0 && owner(fi) == os.Geteuid():
		if err := os.Chmod(dir, 0o700); err != nil {
			return stateError(fmt.Errorf("protect the state directory: %w", err))
		}
	case fi.Mode().Perm()&0o022 != 0:
		return &api.Error{Code: api.CodeDaemon, Message: "others may write to the state directory " + dir, Hint: "chmod 700 it, or set BROKER_STATE_DIR to another"}
	}
	return nil
}

func stateError(err error) error {
	return &api.Error{Code: api.CodeDaemon, Message: err.Error(), Hint: "set BROKER_STATE_DIR to a directory of yours"}
}
