package relay

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// The table of positions, which each side sends first on a carrier: the highest stream that the other side has opened, the number of
// entries, the entries.
const (
	tableHead  = 8
	entryBytes = 4 + 1 + 8 + 8
	maxEntries = 4 * MaxStreams
	entryReset = 1 // the stream was reset; frameReset says why
)

var errTable = errors.New("malformed table of positions")

// position is what a side has of a stream.
type position struct {
	flags   byte
	arrived uint64
	limit   uint64
}

type table struct {
	seen    uint32
	streams map[uint32]position
}

// table is ours. From here on nothing is received before the other side's has come.
func (m *Mux) table() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := binary.BigEndian.AppendUint32(nil, m.seen)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.streams)+len(m.graves)))
	entry := func(id uint32, p position) {
		b = append(binary.BigEndian.AppendUint32(b, id), p.flags)
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, p.arrived), p.limit)
	}
	for id, s := range m.streams {
		s.acked, s.granted, s.ackLazy = s.arrived(), s.in.base+window, false
		entry(id, position{arrived: s.acked, limit: s.granted})
	}
	for id := range m.graves {
		entry(id, position{flags: entryReset})
	}
	return b
}

func readTable(r io.Reader) (table, error) {
	var head [tableHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return table{}, fmt.Errorf("read table of positions: %w", err)
	}
	t := table{seen: binary.BigEndian.Uint32(head[:]), streams: map[uint32]position{}}
	n := binary.BigEndian.Uint32(head[4:])
	if n > maxEntries {
		return table{}, fmt.Errorf("%w: %d entries", errTable, n)
	}
	var entry [entryBytes]byte
	for range n {
		if _, err := io.ReadFull(r, entry[:]); err != nil {
			return table{}, fmt.Errorf("read table of positions: %w", err)
		}
		t.streams[binary.BigEndian.Uint32(entry[:])] = position{
			flags: entry[4], arrived: binary.BigEndian.Uint64(entry[5:]), limit: binary.BigEndian.Uint64(entry[13:]),
		}
	}
	return t, nil
}

// resume has all streams go on from where the other side is.
func (m *Mux) resume(theirs table) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if theirs.seen >= m.next && theirs.seen > 0 || theirs.seen > 0 && !m.ours(theirs.seen) {
		return fmt.Errorf("%w: it has seen stream %d, which we have not opened", errTable, theirs.seen)
	}
	for id := range theirs.streams {
		if !m.past(id) && m.ours(id) {
			return fmt.Errorf("%w: it has stream %d, which we have not opened", errTable, id)
		}
	}
	m.last, m.control, m.fresh, m.bulk = nil, nil, nil, nil
	for id, reason := range m.graves {
		if _, there := theirs.streams[id]; there {
			m.last = append(m.last, frame{kind: frameReset, stream: id, body: []byte(reason)})
		} else {
			delete(m.graves, id)
		}
	}
	for _, s := range slices.SortedFunc(maps.Values(m.streams), func(a, b *Stream) int { return cmp.Compare(a.id, b.id) }) {
		s.saying, s.sending = false, false
		p, there := theirs.streams[s.id]
		switch {
		case there && p.flags&entryReset != 0:
			continue // frameReset comes
		case there:
			s.resumeAt(p)
		case m.ours(s.id) && s.id > theirs.seen:
			if s.known {
				s.abort("forgotten", fmt.Errorf("%w: it has forgotten the stream", ErrDesync))
				continue
			}
			s.sent, s.finSent, s.openDue = 0, false, true
			m.say(s)
			m.send(s)
		case s.inFin && s.fin:
			m.remove(s) // it had all of it, and we have all of its
		default:
			s.abort("forgotten", fmt.Errorf("%w: it has forgotten the stream", ErrDesync))
		}
	}
	m.wake.Signal()
	return nil
}

// resumeAt goes on from where the other side says that it is.
func (s *Stream) resumeAt(p position) {
	s.known, s.openDue = true, false
	if p.arrived < s.out.base {
		s.abort("bytes are gone that have not arrived", fmt.Errorf("%w: it has %d bytes, and had %d before", ErrDesync, p.arrived, s.out.base))
		return
	}
	if !s.take(p.arrived) {
		return
	}
	s.limit = max(s.limit, p.limit)
	s.sent = min(p.arrived, s.out.end())
	s.finSent = s.finAcked
	s.grant() // what was read since the table was made
	s.moved.Broadcast()
	s.m.send(s)
	s.settle()
}
