// Package dlvrpc speaks the part of Delve's JSON-RPC (version 2 of its API) that the broker needs: who is debugged, does it run,
// which breakpoints are there, clear them, go on, stop and detach.
//
// The protocol is net/rpc's JSON codec: requests and answers are JSON values one after another on a stream, and Delve serves it on
// the port of its DAP server, told apart by the first byte of a connection. Source: Delve 1.27, service/rpccommon/server.go,
// service/rpc2/server.go, service/debugger/debugger.go.
//
// Goroutines: none of its own. A call writes its request and reads answers on the caller's goroutine. When the call's ctx is done
// the connection is closed, which is the only way to interrupt it; the Client is of no more use then.
//
// Invariants: one answer is at most MaxAnswer bytes; an answer that nobody waits for (of Continue) is skipped by the next call.
//
// The package opens no connections, and knows nothing of DAP.
package dlvrpc
