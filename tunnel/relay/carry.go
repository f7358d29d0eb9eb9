package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// batch is how many bytes are written to a carrier at once, more or less: what is written stands before all that comes later.
const batch = 32 << 10

// tableTime is how long the two sides may take to tell each other what they have.
const tableTime = 30 * time.Second

var errTaken = errors.New("another carrier has taken its place")

// Carry has conn carry the streams until it ends, or ctx does, which is what the error says; or until the Mux is closed. It takes the place of
// the carrier before, which it ends and waits for, and is refused with ErrStale if one of a higher epoch, or the same, was there: so both sides come to
// use the same one, in whatever order they hear of them. conn is closed in any case. See Client and Server, which agree on all this.
func (m *Mux) Carry(ctx context.Context, conn io.ReadWriteCloser, epoch uint64) error {
	c, err := m.claim(ctx, epoch, func() { _ = conn.Close() })
	if err != nil {
		_ = conn.Close()
		return err
	}
	defer m.release(c)
	defer conn.Close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	err = m.exchange(conn)
	if err == nil {
		written := make(chan error, 1)
		go func() {
			defer conn.Close() // which ends the reader
			written <- m.write(c, conn)
		}()
		err = m.read(c, conn)
		m.finish(c)
		conn.Close()
		if werr := <-written; err == nil || werr != nil && !errors.Is(err, errFrame) {
			err = errors.Join(werr, err)
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case m.closedBy() != nil:
		return m.closedBy()
	default:
		return fmt.Errorf("carrier: %w", err)
	}
}

func (m *Mux) closedBy() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// claim makes a carrier the one that counts, once the one before has gone.
func (m *Mux) claim(ctx context.Context, epoch uint64, hangUp func()) (*carrier, error) {
	for {
		m.mu.Lock()
		before := m.carrier
		switch {
		case m.err != nil:
			defer m.mu.Unlock()
			return nil, m.err
		case epoch <= m.epoch:
			defer m.mu.Unlock()
			return nil, ErrStale
		case before == nil:
			defer m.mu.Unlock()
			m.epoch = epoch
			m.carrier = &carrier{gone: make(chan struct{}), close: hangUp}
			return m.carrier, nil
		}
		m.mu.Unlock()
		before.close()
		select {
		case <-before.gone:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// finish has the writer of c end.
func (m *Mux) finish(c *carrier) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.ended = true
	m.wake.Broadcast()
}

func (m *Mux) release(c *carrier) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.carrier = nil
	m.last = nil
	close(c.gone)
}

// exchange tells the other side what we have of each stream, hears what it has, and goes on from there.
func (m *Mux) exchange(conn io.ReadWriteCloser) error {
	timer := time.AfterFunc(tableTime, func() { _ = conn.Close() })
	defer timer.Stop()
	told := make(chan error, 1)
	ours := m.table()
	go func() {
		_, err := conn.Write(ours)
		told <- err
	}()
	theirs, err := readTable(conn)
	if err != nil {
		_ = conn.Close()
		<-told
		return err
	}
	if err := <-told; err != nil {
		return err
	}
	return m.resume(theirs)
}

func (m *Mux) read(c *carrier, conn io.Reader) error {
	r := frameReader{r: conn}
	for {
		f, err := r.next()
		if err != nil {
			return err
		}
		m.mu.Lock()
		if c.ended || m.err != nil {
			m.mu.Unlock()
			return errTaken
		}
		err = m.receive(f)
		m.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// write sends what there is to say, as long as c lasts.
func (m *Mux) write(c *carrier, conn io.Writer) error {
	var buf []byte
	for {
		m.mu.Lock()
		for {
			if c.ended || m.err != nil {
				m.mu.Unlock()
				return nil
			}
			if buf = m.fill(buf[:0]); len(buf) > 0 {
				break
			}
			m.wake.Wait()
		}
		m.mu.Unlock()
		if _, err := conn.Write(buf); err != nil {
			return err
		}
	}
}

// fill puts together what is to be written next: all that is not data, which is little, and then data up to a batch. mu is held.
func (m *Mux) fill(b []byte) []byte {
	for _, f := range m.last {
		b = f.append(b)
	}
	m.last = nil
	for _, s := range m.control {
		s.saying = false
		if s.err == nil {
			b = s.appendControl(b)
		}
	}
	m.control = m.control[:0]
	for len(b) < batch {
		s, list := m.turn()
		if s == nil {
			break
		}
		*list = (*list)[1:]
		s.sending = false
		if !s.sendable() {
			continue
		}
		b = s.appendData(b)
		if s.sendable() {
			s.sending = true
			m.bulk = append(m.bulk, s)
		}
	}
	return b
}

// turn is whose turn it is to send data: who had nothing to send a moment ago comes first.
func (m *Mux) turn() (*Stream, *[]*Stream) {
	for _, list := range []*[]*Stream{&m.fresh, &m.bulk} {
		if len(*list) > 0 {
			return (*list)[0], list
		}
	}
	return nil, nil
}

func (s *Stream) appendControl(b []byte) []byte {
	s.granted = s.in.base + window
	s.acked, s.ackLazy = s.arrived(), false
	if s.openDue {
		s.openDue = false
		return frame{kind: frameOpen, stream: s.id, limit: s.granted, body: s.header}.append(b)
	}
	return frame{kind: frameAck, stream: s.id, offset: s.acked, limit: s.granted}.append(b)
}

// appendData is for a stream that is sendable.
func (s *Stream) appendData(b []byte) []byte {
	if s.ackLazy {
		b = s.appendControl(b)
	}
	if n := int(min(s.out.end(), s.limit) - min(s.sent, s.limit)); n > 0 {
		n = min(n, quantum)
		b = appendHead(b, frameData, s.id, 8+n)
		b = binary.BigEndian.AppendUint64(b, s.sent)
		b = slices.Grow(b, n)[:len(b)+n]
		s.out.copyTo(b[len(b)-n:], int(s.sent-s.out.base))
		s.sent += uint64(n)
	}
	if s.fin && !s.finSent && s.sent == s.out.end() {
		b = frame{kind: frameFin, stream: s.id, offset: s.sent}.append(b)
		s.finSent = true
	}
	return b
}
