// Package proxy stands between a session's port on 127.0.0.1 and the debug server, which it reaches through a function that dials.
//
// For each connection it decides who may come (same user, no browser, one front end where the server can only have one), reads
// enough to know that it is a front end, and only then dials: a port scan never reaches the debug server, some of which are wedged by
// one. After that it forwards, each protocol message in one write where it knows the messages (DAP, JDWP), bytes as they come where it
// does not need to (websocket frames of CDP, Delve's JSON-RPC). Bytes are never re-encoded; the only values that change are the host
// and port in which debugpy tells a front end where a subprocess is to be found, those in /json of an inspector, and for a program that ran
// before the session what a front end says of it at attach and disconnect (running.go): it can neither be ended nor replaced.
//
// Goroutines: Run accepts; each connection has one that reads the front end and, once attached, one that reads the server. The last
// client's first goroutine also runs AfterLast. Run returns when all have ended.
//
// Invariants:
//   - Dial is called only after valid first bytes of a connection that SameUser has let in.
//   - BeforeFirst, Dials and AfterLast of a round happen in this order, and the next round begins after AfterLast has ended.
//   - Every wait has a bound (limits.go), every message too, and a connection that has not said who it is has both.
//   - A DAP server tells a front end nothing that the front end would do on the user's machine (reverse.go).
//   - When one side ends, what was read from it is written to the other side before that is closed.
//
// It does not resume streams, know sessions or policy, or clean text that a remote sent; it logs no payload.
package proxy
