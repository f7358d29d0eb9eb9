// Package dap is the wire side of the Debug Adapter Protocol for someone who stands in the middle: it cuts a byte stream into
// messages, reads what a message is about, changes single values inside one, and builds the few messages that the broker says
// itself. Everything else passes byte for byte.
//
// Why not go-dap's codec: it refuses messages that it does not know (debugpyAttach), loses unknown fields and explicit false, 0
// and [] when it encodes again, stops at 4 MiB, and takes neither lower-case nor additional headers. The framing is that of
// https://microsoft.github.io/debug-adapter-protocol/overview#base-protocol.
//
// Invariants: the messages of a stream joined together are the stream. A message is bounded by MaxBody, its header by MaxHeader,
// and memory is taken as bytes arrive, never because a header promises them. JSON is scanned, never decoded whole, and not
// validated: what cannot be scanned is an error of the question (Scan, Find, Replace), not of the stream.
//
// It does not open sockets, start goroutines, number messages, or know what a request means.
package dap
