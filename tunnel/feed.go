package tunnel

import (
	"io"
	"os"
	"sync"
)

const (
	// A feed that carries little has a small buffer; one that fills it gets one of the size of an SSH packet.
	smallChunk = 4 << 10
	largeChunk = 32 << 10
	// outChunk is how much of a write is copied at a time.
	outChunk = 64 << 10
)

// feed makes reads interruptible: ssh.Channel.Read cannot be, not even by Close, as long as the server does not confirm that. One
// goroutine of the connection reads for all; it holds one chunk at most, so that back-pressure is the channel's own.
type feed struct {
	chunks   chan []byte
	consumed chan struct{} // back to pump: the chunk may be overwritten
	ended    chan struct{} // closed by pump after err is set
	err      error

	mu   sync.Mutex // guards rest
	rest []byte
}

func newFeed() *feed {
	return &feed{chunks: make(chan []byte), consumed: make(chan struct{}), ended: make(chan struct{})}
}

// pump reads r to its end, or to the end of a read under way once closed is closed. translate names r's errors.
func (f *feed) pump(r io.Reader, closed <-chan struct{}, translate func(error) error) {
	buf := make([]byte, smallChunk)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			select {
			case f.chunks <- buf[:n]:
			case <-closed:
				return
			}
			select {
			case <-f.consumed:
			case <-closed:
				return
			}
		}
		if err != nil {
			f.fail(translate(err))
			return
		}
		if n == len(buf) && n < largeChunk {
			buf = make([]byte, largeChunk)
		}
	}
}

func (f *feed) fail(err error) {
	f.err = err
	close(f.ended)
}

// read is as io.Reader's Read. It is os.ErrClosed once closed is closed, and os.ErrDeadlineExceeded once expired is, which may be nil.
func (f *feed) read(p []byte, closed, expired <-chan struct{}) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-closed:
		return 0, os.ErrClosed
	case <-expired:
		return 0, os.ErrDeadlineExceeded
	default:
	}
	if len(p) == 0 {
		return 0, nil
	}
	if len(f.rest) == 0 {
		select {
		case f.rest = <-f.chunks:
		case <-f.ended:
			return 0, f.err
		case <-closed:
			return 0, os.ErrClosed
		case <-expired:
			return 0, os.ErrDeadlineExceeded
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	if len(f.rest) == 0 {
		select {
		case f.consumed <- struct{}{}:
		case <-closed: // the pump may be gone
		}
	}
	return n, nil
}
