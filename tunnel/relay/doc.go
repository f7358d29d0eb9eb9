// Package relay is how bytes outlive the connection that carries them: streams between a broker and a program on another machine that go on,
// byte for byte, over one connection after another.
//
// A Client and a Server hold a Mux each: all their streams. Whoever has a new connection gives it to Carry, on both sides; it serves until it
// breaks, and the next one goes on where it stopped. What was written is kept until the other side is known to have it; so nothing is lost, nothing
// comes twice, and where the two sides do not agree a stream ends with ErrDesync rather than with other bytes.
//
// # Wire
//
// Numbers are big-endian. A connection begins with the client's words: "dbkrelay", the oldest and the newest version of this protocol that it
// speaks (2 bytes each), its token (32), which run of the client this is (16, random), and a number that is higher on each connection of that run
// (8). The server answers "dbkrelay", the version that both now speak (2), a result (1), which run of the server this is (16). Results: 1 there
// are no streams yet; 2 the streams of that run go on; refusals, after which the server closes: 3 another token, 4 no version in common (the one
// told is its newest), 5 a later connection is or was there. The token is compared in constant time, and before anything else is told. A client's
// new run ends the streams of the one before; a server of another run than before has none of the client's streams, which end with ErrRestarted.
//
// Then each side tells the other what it has, its table of positions: the highest stream that the other has opened (4, 0 for none), the number of
// entries (4, at most 4096), and for each stream its number (4), flags (1), how many bytes of it have arrived (8, an end of file counts as one
// more), and how far the other may send (8). Flag 1: the stream was reset here, and its frame of type 3 follows. A stream that the other side does
// not list is over there, if its number is not above the highest it has seen; it is over here too where both ends of file have passed, and ends with
// ErrDesync otherwise. One above was never heard of, and is opened again.
//
// Then frames: a type (1), the length of what follows the head (3, at most 32776), the stream (4), and by type
//
//	1 data   offset of its first byte (8), the bytes (at least one)
//	2 end    offset (8): as many bytes were all
//	3 reset  why (at most 512 bytes). Who gets one for a stream that it has answers with an empty one, so that the sender may forget it
//	4 ack    how many bytes have arrived (8), how far the other may send (8). Neither ever falls
//	5 open   how far the other may send (8), the header (at most 16 KiB): what the stream is for
//
// A type with bit 128 set may be skipped by who does not know it; any other that is unknown ends the connection. The client opens odd streams, the
// server even ones, in rising order. Bytes that are here already are dropped; bytes from beyond what is here, or beyond what was allowed, reset
// the stream.
//
// # Order
//
// What is not data goes first; then streams in turn, 16 KiB each, those before the others that had nothing to send a moment ago: a download
// does not hold up a debugger's step. At most 32 KiB are written at once. An acknowledgement that only frees memory waits for up to 25 ms for
// something to go along with.
//
// # Goroutines
//
// Carry reads on its caller's goroutine and writes on one of its own, for which it waits. Besides there are timers only.
//
// # Invariants
//
//   - A stream holds at most 1 MiB that was not read and 1 MiB that is not known to have arrived; a full one blocks Write and nothing else.
//   - Mux.mu is never held while a connection is read, written or closed.
//   - Of a stream that both sides have ended nothing is kept; of one that was reset its number and the reason, until the other side knows.
//
// It does not dial, know SSH, look at what streams carry, or find out that a silent connection is dead: who gives it the connection does.
package relay
