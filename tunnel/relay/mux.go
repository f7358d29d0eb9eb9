package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// window is how many bytes of a stream may be under way to a side that does not read them, and what either side holds of it at most.
	window = 1 << 20
	// ackEvery is how much may come unacknowledged for ackDelay. What is acknowledged late only stays in the sender's memory.
	ackEvery = window / 8
	ackDelay = 25 * time.Millisecond
	// quantum is how much a stream may send in its turn.
	quantum = 16 << 10
	// MaxStreams is the most that Options may let the other side open.
	MaxStreams = 1024
)

var (
	// ErrClosed says that the Mux was closed.
	ErrClosed = errors.New("the relay's streams have been closed")
	// ErrTooMany says that the other side has as many streams open as it may.
	ErrTooMany = errors.New("too many streams")
	// ErrDesync says that the two sides do not agree on what was sent. Nothing is made up for: the stream ends.
	ErrDesync = errors.New("the two ends of the stream disagree")
)

// Mux carries streams over one carrier after another. See the package's documentation for what it promises.
type Mux struct {
	first   uint32 // the first id that we open: 1 or 2
	foreign int    // how many streams of the other side's there may be

	mu       sync.Mutex // guards all below, and the streams; never held while a carrier is read or written
	err      error      // why it was closed; nil while it is not
	streams  map[uint32]*Stream
	graves   map[uint32]string // why we reset a stream, until the other side is known to know
	next     uint32            // id of the next stream that we open
	seen     uint32            // highest id that the other side has opened, 0 for none
	accepted []*Stream         // opened by the other side, and not yet asked for
	changed  chan struct{}     // closed and replaced when accepted or err changes

	carrier *carrier // nil while there is none
	epoch   uint64   // of the last one, 0 for none
	wake    sync.Cond
	last    []frame   // of streams that are there no more
	control []*Stream // with something to say besides data
	fresh   []*Stream // with data to send, not served since they had none
	bulk    []*Stream // with more data than went in their last turn
	lazy    *time.Timer
	lazily  bool // lazy runs
}

// carrier is a connection that carries the streams for a while.
type carrier struct {
	ended bool
	gone  chan struct{} // closed when nothing of ours uses it any more
	close func()
}

// Options set up a Mux.
type Options struct {
	// Client is true for one of two that speak with each other.
	Client bool
	// Streams is how many streams the other side may have open at the same time, MaxStreams at most. Each may take 1 MiB of memory.
	Streams int
}

// NewMux makes one without a carrier.
func NewMux(o Options) *Mux {
	m := &Mux{first: 2, foreign: min(o.Streams, MaxStreams), streams: map[uint32]*Stream{}, graves: map[uint32]string{}, changed: make(chan struct{})}
	if o.Client {
		m.first = 1
	}
	m.next = m.first
	m.wake.L = &m.mu
	m.lazy = time.AfterFunc(time.Hour, m.flushAcks)
	m.lazy.Stop()
	return m
}

// Open opens a stream and tells the other side what it is for. It does not wait for anything: neither for a carrier nor for the other side.
func (m *Mux) Open(header []byte) (*Stream, error) {
	if len(header) > MaxHeader {
		return nil, fmt.Errorf("header of %d bytes: more than %d", len(header), MaxHeader)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	if m.count(m.ours) >= MaxStreams {
		return nil, ErrTooMany
	}
	s := newStream(m, m.next, slices.Clone(header))
	s.openDue = true
	m.next += 2
	m.streams[s.id] = s
	m.say(s)
	return s, nil
}

// Accept waits for a stream that the other side opens.
func (m *Mux) Accept(ctx context.Context) (*Stream, error) {
	for {
		m.mu.Lock()
		err, changed := m.err, m.changed
		if len(m.accepted) > 0 && err == nil {
			s := m.accepted[0]
			m.accepted = slices.Delete(m.accepted, 0, 1)
			m.mu.Unlock()
			return s, nil
		}
		m.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends all streams with err, ErrClosed for nil, and the carrier. The other side is not told: it sees the carrier end.
func (m *Mux) Close(err error) {
	if err == nil {
		err = ErrClosed
	}
	if c := m.end(err); c != nil {
		c.close()
	}
}

// end ends all streams, and returns the carrier that is to be ended, if any.
func (m *Mux) end(err error) *carrier {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil
	}
	m.err = err
	for _, s := range m.streams {
		s.fail(err)
	}
	clear(m.streams)
	m.lazy.Stop()
	m.tell()
	m.wake.Broadcast()
	return m.carrier
}

// tell wakes who waits in Accept. mu is held.
func (m *Mux) tell() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// ours tells whether we open streams of that id.
func (m *Mux) ours(id uint32) bool { return id%2 == m.first%2 }

// count is how many streams there are of ids for which of holds, those that were reset and may be there for the other side included.
func (m *Mux) count(of func(id uint32) bool) (n int) {
	for id := range m.streams {
		if of(id) {
			n++
		}
	}
	for id := range m.graves {
		if of(id) {
			n++
		}
	}
	return n
}

// past tells whether a stream of that id has been there.
func (m *Mux) past(id uint32) bool {
	if m.ours(id) {
		return id < m.next
	}
	return id <= m.seen
}

// say has the writer look at what s has to say besides data. mu is held.
func (m *Mux) say(s *Stream) {
	if !s.saying {
		s.saying = true
		m.control = append(m.control, s)
	}
	m.wake.Signal()
}

// send has the writer look at the data of s. mu is held.
func (m *Mux) send(s *Stream) {
	if !s.sending && s.sendable() {
		s.sending = true
		m.fresh = append(m.fresh, s)
		m.wake.Signal()
	}
}

// remove forgets a stream. mu is held.
func (m *Mux) remove(s *Stream) {
	delete(m.streams, s.id)
	if i := slices.Index(m.accepted, s); i >= 0 && s.err != nil {
		m.accepted = slices.Delete(m.accepted, i, i+1)
	}
}

// bury forgets a stream that we reset, and has the other side told, if it may know the stream. mu is held.
func (m *Mux) bury(s *Stream, reason string) {
	m.remove(s)
	if s.openDue {
		return
	}
	reason = reason[:min(len(reason), maxReason)]
	m.graves[s.id] = reason
	m.sayLast(frame{kind: frameReset, stream: s.id, body: []byte(reason)})
}

// sayLast has a frame of a stream sent that is there no more. mu is held.
func (m *Mux) sayLast(f frame) {
	if m.carrier != nil { // else the table of positions says it to the next one
		m.last = append(m.last, f)
		m.wake.Signal()
	}
}

// flushAcks sends the acknowledgements that could wait a while.
func (m *Mux) flushAcks() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lazily = false
	for _, s := range m.streams {
		if s.ackLazy {
			m.say(s)
		}
	}
}
