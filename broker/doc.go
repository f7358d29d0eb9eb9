// Package broker is the heart of brokerd: it owns the debug sessions and the forwards, keeps the clean-up ledger, and answers the control
// API.
//
// A session's life is one goroutine (session.run): open builds what the session needs on its host and here (rig), serve watches
// until something ends it, end takes everything down and proves on the host that nothing is left. Others never touch a session's
// state: they read the snapshots that it publishes and end it by cancelling its context with a cause (errClosed, errExpired, …).
//
// Where things are: broker.go owns the sessions; session.go is a session's life, open.go and raise.go its beginning, ending.go its end,
// rig.go what it has built; forwards.go owns the forwards, forwards_add.go is the life of a request for some and forwards_recover.go where the
// others come from, forward.go is one of them and forwardhost.go the link that they share; ledger.go knows what may lie on hosts and janitor.go goes after it; hosts.go reaches
// them, and needsauth.go knows which of them wait for a person; prompts.go brings what they ask to whoever waits for a request, and the answers back; server*.go is the API.
//
// Goroutines:
//   - Broker.Run: one; it starts the janitor (ledger.run) and the pruner, and waits for them and for every session.
//   - a session: run, and under it the two readers of the process's output with one that waits for them, one that waits for the
//     process's exit, one for Plan.Watch, one for the proxy, one for the time limit. run ends after all of them. A panic in any is the
//     end of that session alone.
//   - forwards.run: one, which tells of changes; a goroutine for each forward, which listens and carries (tunnel.Forward), and one for each
//     host that has forwards, which keeps its link up (tunnel.Keeper). run ends after all of them. A panic in one is the end of that forward.
//   - POST /v1/auth: one that connects, which the request's own waits for. What a host asks is put into the request's answer by the goroutine that
//     writes that (interview).
//   - the API: net/http's, one a connection; followers (--watch, -f) wait on a Tracker and end with the daemon.
//
// Invariants:
//   - The ledger's entry is on disk before a workspace is made on a host, and leaves it only after Host.Reap has looked and found
//     nothing. An entry whose session has ended otherwise is replayed at the next connect to the host, and by the janitor.
//   - The local port is bound before anything is done on the host, and stays bound until the session has ended.
//   - A forward that somebody was told is kept is on disk before. Its local port stays open whatever becomes of its link, and is never another
//     one, until somebody removes the forward.
//   - The broker is the one place that translates between tunnel, adapters, store and api; none of those knows another.
//   - A session ends in bounded time whatever its host does (endWait), and nothing that an earlier daemon left is mistaken for a live
//     one: Recover comes before the first Open, and Run returns after the last session has ended.
//   - Environment values of a request, and answers to prompts, are never logged, stored or shown. An answer is taken once, for a question whose
//     request is still there.
//   - A host that needs a person is not dialled by what nobody waits for.
//
// It does not speak any debug protocol: what must be said to a debug server is in the adapter's Plan, and front ends are served by
// broker/proxy.
package broker
