package tunnel

import (
	"net"
	"sync/atomic"
	"time"
)

// wire is what an SSH connection runs over: a TCP socket, or a stream through the previous hop. It notes when the peer was
// last heard and whether reading has failed, which tells a lost connection from a stream that the peer ended.
type wire struct {
	net.Conn
	quick  func() // asks the system to acknowledge at once; nil where it cannot
	born   time.Time
	heard  atomic.Int64 // time of the last read, as time since born
	failed atomic.Bool
}

func newWire(nc net.Conn) *wire {
	w := &wire{Conn: nc, born: time.Now()}
	if tcp, ok := nc.(*net.TCPConn); ok {
		// Go sets TCP_NODELAY by itself; said here because each message of a debug protocol depends on it.
		_ = tcp.SetNoDelay(true)
		w.quick = quickAck(tcp)
	}
	return w
}

// Read notes the time. After each read TCP_QUICKACK is set again, since the kernel falls back to delayed acknowledgements
// by itself: those, against the Nagle algorithm of a server that writes one message in two pieces, cost 40 ms a message.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.heard.Store(int64(time.Since(w.born)))
		if w.quick != nil {
			w.quick()
		}
	}
	if err != nil {
		w.failed.Store(true)
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.failed.Store(true)
	}
	return n, err
}

// Close also marks the wire as failed: what is read after it says nothing about the peer.
func (w *wire) Close() error {
	w.failed.Store(true)
	return w.Conn.Close()
}

// silence is how long nothing has come from the peer.
func (w *wire) silence() time.Duration { return time.Since(w.born) - time.Duration(w.heard.Load()) }
