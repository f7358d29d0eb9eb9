// Package peer tells which user is at the other end of a TCP connection on loopback.
//
// A port on 127.0.0.1 is open to every user of the machine, and TCP carries no credentials, so the owner of the other socket is
// looked up in the kernel's tables: by sock_diag on Linux, or /proc/net/tcp and tcp6 where that is not to be had; in the list of
// protocol control blocks on darwin. What cannot be looked up is refused.
//
// Invariants: the answer is about the socket whose two addresses are exactly ours reversed. A socket that its owner has closed
// already belongs to nobody: Linux shows it with uid 0, and it must not pass for root's.
//
// It starts no goroutines, keeps no state, and does not look at Unix sockets (their credentials come with the connection).
package peer
