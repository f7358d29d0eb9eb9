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
	first  firstWords
	lost   func() // hears, maybe more than once, that no more can be read; nil where nobody wants to know
	born   time.Time
	heard  atomic.Int64 // time of the last read, as time since born
	closed atomic.Bool  // by us
	failed atomic.Bool  // by whomever: nothing read from now on says that the peer ended a stream
	broken atomic.Bool  // by the network or the peer, before we closed it
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
		w.first.note(p[:n])
	}
	if err != nil {
		w.fail()
		if w.lost != nil {
			w.lost()
		}
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.fail()
	}
	return n, err
}

func (w *wire) Close() error {
	w.closed.Store(true)
	w.failed.Store(true)
	return w.Conn.Close()
}

// finish waits, once the wire is closed, for what has made it: the program of a ProxyCommand.
func (w *wire) finish() {
	if p, ok := w.Conn.(*proxyConn); ok {
		p.wait()
	}
}

func (w *wire) fail() {
	if !w.closed.Load() {
		w.broken.Store(true)
	}
	w.failed.Store(true)
}

// silence is how long nothing has come from the peer.
func (w *wire) silence() time.Duration { return time.Since(w.born) - time.Duration(w.heard.Load()) }
