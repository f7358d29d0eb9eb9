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
	quick func() // asks the system to acknowledge at once; nil where it cannot
	first firstWords
	lost  func() // hears, maybe more than once, that no more can be read; nil where nobody wants to know
	// seal ends all writing above us before whoever reads is told that no more can be read; nil where nothing is above yet.
	seal   atomic.Pointer[func()]
	born   time.Time
	heard  atomic.Int64 // time of the last read, as time since born
	closed atomic.Bool  // by us
	failed atomic.Bool  // by whomever: nothing read from now on says that the peer ended a stream
	broken atomic.Bool  // by the network or the peer, before we closed it

	// x/crypto reads a packet of 32 KiB in four pieces. While much comes, more than it asks for is read at once; one reader has these.
	ahead  *[]byte // of largeBuffers; nil while little comes
	unread []byte  // the rest of what is in ahead
	little bool    // what came last was less than a small buffer holds
}

// quickBelow is how much read at once says that a message has ended, and its sender may wait for the acknowledgement.
const quickBelow = 32 << 10

func newWire(nc net.Conn) *wire {
	w := &wire{Conn: nc, born: time.Now()}
	if tcp, ok := nc.(*net.TCPConn); ok {
		// Go sets TCP_NODELAY by itself; said here because each message of a debug protocol depends on it.
		_ = tcp.SetNoDelay(true)
		w.quick = quickAck(tcp)
	}
	return w
}

// Read is for one goroutine at a time.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.unread) == 0 {
		if w.ahead == nil || len(p) >= len(*w.ahead) {
			n, err := w.receive(p)
			if n == len(p) && w.ahead == nil {
				w.ahead = largeBuffers.Get().(*[]byte)
			}
			return n, err
		}
		n, err := w.receive(*w.ahead)
		w.unread, w.little = (*w.ahead)[:n], n < smallBuffer
		if err != nil && n == 0 {
			return 0, err
		}
	}
	n := copy(p, w.unread)
	if w.unread = w.unread[n:]; len(w.unread) == 0 && w.little {
		largeBuffers.Put(w.ahead)
		w.ahead, w.unread = nil, nil
	}
	return n, nil
}

// receive notes the time. After it TCP_QUICKACK is set again, since the kernel falls back to delayed acknowledgements by itself: those,
// against the Nagle algorithm of a server that writes one message in two pieces, cost 40 ms a message. While much comes that is no danger:
// the kernel acknowledges every second segment.
func (w *wire) receive(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.heard.Store(int64(time.Since(w.born)))
		if w.quick != nil && n < quickBelow && w.ahead == nil {
			w.quick()
		}
		w.first.note(p[:n])
	}
	if err != nil {
		w.fail()
		if w.lost != nil {
			w.lost()
		}
		if seal := w.seal.Swap(nil); seal != nil {
			_ = w.SetWriteDeadline(time.Unix(1, 0)) // who writes already holds a lock that seal wants
			(*seal)()
		}
	}
	return n, err
}

// Write fails once reading has.
func (w *wire) Write(p []byte) (int, error) {
	if w.failed.Load() {
		return 0, net.ErrClosed
	}
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
