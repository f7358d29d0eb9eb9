// Package cdp holds short conversations in the Chrome DevTools Protocol, as node's inspector speaks it: JSON messages on a websocket
// over a connection that the caller opened. Source: the protocol's js_protocol.json (domains Runtime, Debugger), and node's
// src/inspector_socket_server.cc for the HTTP in front of it.
//
// Goroutines: those of the websocket library, which end with Close. A call writes its request and reads until the answer comes on
// the caller's goroutine; events that come between are passed over.
//
// Invariants: a message is at most MaxMessage bytes; every call is bounded by its ctx, and the connection is of no more use when
// that was done first.
//
// The package opens no connections, and keeps no state of a debug session.
package cdp
