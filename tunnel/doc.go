// Package tunnel reaches a far side, a machine where programs are debugged, and keeps what is needed to work there.
//
// A Target is a resolved chain of SSH servers; package tunnel/sshconfig makes it from the user's ssh configuration. The Dialer
// turns a Target into a Conn, one authenticated SSH connection. A Link holds the Conns to one Target that are in use at the
// same time (sshd allows only MaxSessions commands on each), watches that they live, and is what a Host works over. The Pool
// hands out Hosts and shares one Link among all that go to the same Target.
//
// # Goroutines
//
//   - Pool.Run belongs to the caller. Each pooled link has one goroutine, which dials, then runs the Link, then forgets it.
//   - Link.Run is that goroutine; beside it runs one keepalive loop for each Conn, and one short-lived guard for each further
//     dial.
//   - A Conn has six: three that x/crypto starts (reading, key exchange, sorting what is read), two that refuse what the
//     server asks for unbidden, and one that waits for the end. Each command channel adds one, and one for each of its outputs
//     that is read; each dialled stream adds two.
//   - Operations that x/crypto cannot abandon (opening a channel, a request that wants a reply, a write, a close) run in a
//     goroutine of their own, which ends with the answer or with the Conn. Who asked for them may go on before.
//
// Whoever closes waits: Conn.Close, Link.Run and Pool.Run return when all of these have ended.
//
// # Invariants
//
//   - Nothing waits without a bound: every operation ends with its context, with its own time limit, or with its Conn, and a
//     Conn ends within ServerAliveInterval × (ServerAliveCountMax + 1) of the peer falling silent.
//   - A host key that known_hosts does not vouch for is refused. There is no switch.
//   - The loss of any one connection of a Link ends the whole Link, and all Hosts on it: a session has parts on several
//     connections, and half a session is worse than none.
//   - No key, passphrase or agent answer reaches a log or an error.
//
// # What it does not do
//
// It does not reconnect: a lost Link is forgotten, and the next Pool.Host dials again. It asks nobody for passwords, codes or
// passphrases, forwards no agent, and runs no ProxyCommand; hints and warnings say so where it matters.
package tunnel
