// Command brokerd is the daemon: it owns SSH links and debug sessions, and answers brokerctl on a private unix socket. What is here
// is the way in and out: flags (command.go), one linear function that builds everything (wire.go), the state directory and its lock
// (lock.go), the log (log.go), the socket (socket.go), what systemd is told (notify.go), when garbage is collected (gcpace.go), and the
// hosts for completion (sshhosts.go).
//
// Goroutines: live (wire.go) starts the broker, the API, the links' pool, the garbage collections' pacer, and one that waits for a
// reason to stop; it waits for all of them. They end in that order.
//
// Invariants:
//   - One daemon a state directory: the lock is taken before the database, the log or the socket is touched.
//   - Everything that it makes is ours alone: umask 077, a state directory of mode 0700 or none.
//   - What keeps it from starting is said on stderr as `error:`, `code:` and `hint:` lines, which brokerctl passes on.
//   - The database is looked at by a child process first (the hidden verify-store), since a damaged one can crash who maps it.
//
// It speaks neither SSH nor any debug protocol, and asks nobody anything: there is no terminal.
package main
