// Package tools finds the programs that integration tests and the demo need: sshd, a python3 that can import debugpy, Delve, node,
// a JDK with jdb, shells.
//
// A finder returns a path or a *MissingError, which says what to install. Need turns that into t.Skip on a developer's machine and into
// a failure where CI=true, so that CI never passes by leaving tests out. The package starts short child processes only and no goroutines.
package tools
