// Package sshd runs the real OpenSSH server for tests: an ordinary child process on a free port of 127.0.0.1, with keys, configuration
// and known_hosts of its own in the test's temporary directory. It needs no root, and touches neither ~/.ssh nor anything else outside
// that directory; as root it makes /run/sshd, without which sshd refuses to start.
//
// Goroutines: two a running server. One reads the log until sshd and its children have closed it, one waits for sshd to end; Stop
// waits for both.
//
// What it does not do: other users than the one who runs the test, passwords, PAM.
package sshd
