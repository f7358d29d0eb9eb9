// Package tunnel reaches a far side, a machine where programs are debugged, and works there.
//
// It has two halves, which meet in the interface carrier: something that runs a command line and dials.
//
// # The link half
//
// A Target is a resolved chain of SSH servers; package tunnel/sshconfig makes it from the user's ssh configuration. The Dialer
// turns a Target into a Conn, one authenticated SSH connection. A Link holds the Conns to one Target that are in use at the
// same time (sshd allows only MaxSessions commands on each), watches that they live, and is the carrier over SSH. The Pool
// hands out Hosts and shares one Link among all that go to the same Target. A Keeper keeps a Link up for what must outlast its
// loss, which forwards do: it gets its Links from the Pool, one after the other. Wakes notices that the machine has slept or that its
// network is another one, and has the Pool probe its Links.
//
// Where an ssh of the user's is a ControlMaster for the last hop, the Dialer goes over that instead (controlmaster.go): its masterConn is an ssh.Conn in
// which each channel is a control connection and pipes of its own. Dropping it leaves the user's other sessions on the master alone. A Link of it has no
// further connections. Far listeners are forwards of the master's to sockets of ours (masterlisten.go), and so are unix sockets of the far side
// where it is older than OpenSSH 9.4. A master keeps such a forward until it is told otherwise: each has a record (masterclaim.go).
//
// Dialer.Diagnose goes the same way with the same code, and tells what it meets: a hopLook hears of each step (it is nil in a plain dial),
// and a connLook tries on the last connection what the server allows. It shares nothing with the Pool.
//
// # Forwards
//
// A Forward carries connections over the link that a Keeper, or another Via, gives it, one link after the other. ParseForward reads ssh's
// syntax. Local and SOCKS forwards listen here (listenhere.go, forward_local.go), remote ones have the server listen (FarListener) on each link
// anew (forward_remote.go). What comes in is admitted, asked for its target where the forward is SOCKS (socks.go), connected at the other end,
// and spliced (splice.go).
//
// # The shell half
//
// A shellHost is the Host over any carrier, with nothing at the far side but a POSIX shell; localCarrier is the carrier that is this
// machine, and NewLocal its Host. The only command lines are shellCommand and, for a Host of AsRoot, rootCommand. All else is a script
// (files in scripts/, put together by type script) on standard input, each word quoted, so that any login shell will do and no process
// table shows it. A talk is one such exchange: it skips what login scripts print before our random marker, and bounds what comes behind it.
//
// Start's script (start.sh) writes the process's identity into the workspace and then becomes the program (exec), so that sshd tells
// the program's own exit. It leaves a lifeline beside it, a subshell that holds the channel's standard input. End of file there
// means that the link was lost, that we have died, or that Release has closed the channel; the lifeline then does what Reap does. A
// program with a standard input has a second channel for it (feed.sh): bytes that nobody reads must not stand before that end of file.
//
// Processes reads /proc by one script (processes.sh). Names, arguments and paths in there are of anybody's making, so what parts them in
// the answer is a random word that only the script's own programs have, in their environment.
//
// # Goroutines
//
//   - Pool.Run belongs to the caller, and so do Wakes.Run, which has one more goroutine that reads the system's news of the network, and
//     each Keeper.Run. Each pooled link has one goroutine, which dials, then runs the Link, then forgets it.
//   - Link.Run is that goroutine; beside it runs one keepalive loop for each Conn, one short-lived guard for each further dial, and
//     for some seconds one for each Conn that is probed.
//   - A Conn has six: three that x/crypto starts (reading, key exchange, sorting what is read), one that refuses what the
//     server asks for, one that gives the channels it opens to the far listeners they are for and refuses the rest, and one that waits
//     for the end. Each command channel adds one, and one for each of its outputs that is read; each stream adds one, and one more
//     once it is read.
//   - Forward.Run belongs to the caller. A local forward has one for each address that it listens on, a remote one one that
//     waits for Restart, and for some seconds one that looks where the server listens. Each connection has one, which decides, and two of
//     its Conn that carry bytes (splice); those may outlive it, until the server has confirmed its end.
//   - A question to a person has one goroutine, in which the caller's Ask runs; the dial waits for it, as it does for the one that tells of a
//     security key while an agent signs. A channel to a lent agent has three.
//   - A helper, a program that the ssh configuration names, has one that reads its standard error, and while it is being ended two more.
//   - Operations that x/crypto cannot abandon (opening a channel, a request that wants a reply, a write, a close) run in a
//     goroutine of their own, which ends with the answer or with the Conn. Who asked for them may go on before.
//   - A shellHost has none of its own. A process has one, which waits for its channel's end, and two more for some seconds once its
//     standard input has been closed. A talk has up to four (it writes, and reads two streams, bounded by a context), which end with
//     the call, or, where the connection is silently dead, with it.
//   - A masterConn has one for each channel that is open and one for each far listener, beside what a Conn has, and after its end one that has the
//     master close the forwards that are left.
//   - localCarrier has one a child, which waits for it; the Host's Release waits for those.
//
// Whoever closes waits: Conn.Close, Link.Run and Pool.Run return when all of these have ended.
//
// # Invariants
//
//   - Nothing waits without a bound: every operation ends with its context, with its own time limit, or with its Conn, and a
//     Conn ends within ServerAliveInterval × (ServerAliveCountMax + 1) of the peer falling silent, though a request of ours may never be
//     answered; and within 3 s of a Probe.
//   - However many want a Target, there is one dial of it at a time. A Keeper whose host wants a person dials no more until one came.
//   - Where nobody can be asked, no method that asks is begun, so that a server counts no failure.
//   - A host key that has changed, or is revoked, is refused, and there is no switch. One that is unknown is accepted by a person, or by the user's
//     own StrictHostKeyChecking, and written down.
//   - The programs of the user's ssh configuration (ProxyCommand, KnownHostsCommand) have a process group of their own, and are gone, waited for, when
//     what they were for has ended.
//   - The loss of any one connection of a Link ends the whole Link, and all Hosts on it: a session has parts on several
//     connections, and half a session is worse than none.
//   - A local listener of a Forward is never closed before its Run ends. What goes wrong with one connection resets that connection, and
//     nothing else; no byte is lost unseen: a client sees end of file only where the server has said so.
//   - What we ask a ControlMaster for is recorded before, and the record goes once the master has closed it. A socket that a master is to connect to
//     is in a directory of ours alone, and only a process of this user's is heard there.
//   - A channel that the server opens is for a FarListener that asked for it, or for the user's agent where Hop.LendAgent says so, or is refused.
//   - A started process is recorded in its workspace before its program runs, so Reap finds it whatever happens to us.
//   - Reap and the lifelines signal a process only where boot id, pid and start time match a record, or where it belongs to the
//     session, the group or the descendants of one that does; never a Spare one with SIGKILL, nor a gdb, which may be at work in
//     a program that is none of ours; never process 1, or those above us.
//     What they remove is a 0700 directory of ours with a name of ours (checkWorkspace, dbk_ours).
//   - Reap tells what is left and keeps its records as long as a process is. Doing it twice, or while the lifeline does it, is fine.
//   - What the far side prints is bounded, and reaches an error only through cleanText.
//   - No key, passphrase, password, code or agent answer reaches a log or an error, and no environment value.
//
// # What it does not do
//
// A Host does not reconnect: a lost Link is forgotten with all that ran over it, and the next Pool.Host dials again. No password, code or
// passphrase is kept: where one is wanted again, a person is asked again (Caller.Ask), or the dial fails with ErrNeedsAuth. No agent is
// forwarded because an ssh configuration asks for it, and hints and warnings say so where it matters. It knows no debugger.
package tunnel
