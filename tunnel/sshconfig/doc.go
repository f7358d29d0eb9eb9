// Package sshconfig turns what a user types after `ssh` into a tunnel.Target, by the user's own ssh configuration.
//
// The ground truth is `ssh -G`, which reads the files as ssh does. Where there is no ssh program, a reader on top of
// kevinburke/ssh_config stands in; it does not know Match, and says so. The same reader lists the hosts of the configuration,
// which ssh cannot.
//
// # Goroutines
//
// None outlive a call. All methods of a Resolver may be called at the same time.
//
// # Invariants
//
//   - A name that ssh could take for an option, or a shell for syntax, never reaches a command line: ErrBadName.
//   - What the configuration asks for and we do not do is a warning on the Hop; it is never dropped silently. A ProxyCommand is
//     passed on so that the dialer refuses it.
//   - `ssh -G` may run programs of the user's (Match exec), so it has a time limit, and its answer is kept for as long as the
//     files it came from stay the same.
//
// # What it does not do
//
// It opens no connection, resolves no name, and writes no file.
package sshconfig
