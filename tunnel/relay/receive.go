package relay

import "fmt"

// receive does what a frame says. An error is the end of the carrier: the other side does not keep to the protocol. What concerns one stream
// ends that one alone. mu is held.
func (m *Mux) receive(f frame) error {
	if f.kind == frameOpen {
		return m.receiveOpen(f)
	}
	s := m.streams[f.stream]
	if s == nil {
		if f.kind == frameReset {
			delete(m.graves, f.stream) // it knows
		}
		if !m.past(f.stream) {
			return fmt.Errorf("%w: stream %d was never opened", errFrame, f.stream)
		}
		return nil // on its way while we forgot the stream
	}
	switch f.kind {
	case frameData:
		s.receiveData(f)
	case frameFin:
		s.receiveFin(f)
	case frameAck:
		s.receiveAck(f)
	case frameReset:
		s.fail(&ResetError{Reason: string(f.body)})
		m.remove(s)
		m.sayLast(frame{kind: frameReset, stream: s.id})
	}
	return nil
}

func (m *Mux) receiveOpen(f frame) error {
	switch {
	case m.ours(f.stream):
		return fmt.Errorf("%w: it opens stream %d, which is ours to open", errFrame, f.stream)
	case f.stream <= m.seen:
		return nil // said again
	}
	m.seen = f.stream
	theirs := m.count(func(id uint32) bool { return !m.ours(id) })
	s := newStream(m, f.stream, append([]byte(nil), f.body...))
	s.limit, s.known = f.limit, true
	if theirs >= 2*MaxStreams {
		return fmt.Errorf("%w: it opens streams that we reset, and does not say that it knows", errFrame)
	}
	if theirs >= m.foreign {
		m.bury(s, ErrTooMany.Error())
		return nil
	}
	m.streams[s.id] = s
	m.accepted = append(m.accepted, s)
	m.say(s)
	m.tell()
	return nil
}

func (s *Stream) receiveData(f frame) {
	end := s.in.end()
	last := f.offset + uint64(len(f.body))
	switch {
	case f.offset > end || last < f.offset || s.inFin && last > end:
		s.abort("bytes from an offset that is not the next", fmt.Errorf("%w: it sends bytes from %d on, and %d have come", ErrDesync, f.offset, end))
		return
	case last > s.granted:
		s.abort("more bytes than were allowed", fmt.Errorf("%w: it sends up to %d, and may up to %d", ErrDesync, last, s.granted))
		return
	case last <= end:
		s.acknowledge(true) // it does not know that they are here
		return
	}
	s.in.push(f.body[end-f.offset:])
	if s.closed {
		s.in.drop(s.in.n)
		s.grant()
	}
	s.acknowledge(s.in.end()-s.acked >= ackEvery)
	s.moved.Broadcast()
}

func (s *Stream) receiveFin(f frame) {
	if f.offset != s.in.end() {
		s.abort("an end at an offset that is not the next", fmt.Errorf("%w: it ends after %d bytes, and %d have come", ErrDesync, f.offset, s.in.end()))
		return
	}
	s.inFin = true
	s.acknowledge(true)
	s.moved.Broadcast()
	s.settle()
}

// acknowledge has the other side told what has arrived, at once or in a while.
func (s *Stream) acknowledge(now bool) {
	if now {
		s.m.say(s)
		return
	}
	s.ackLazy = true
	if !s.m.lazily {
		s.m.lazily = true
		s.m.lazy.Reset(ackDelay)
	}
}

func (s *Stream) receiveAck(f frame) {
	s.known, s.openDue = true, false
	s.limit = max(s.limit, f.limit)
	if !s.take(f.offset) {
		return
	}
	s.m.send(s)
	s.moved.Broadcast()
	s.settle()
}

// take notes that the other side has what is before offset. It is false where that cannot be, and the stream has ended with it.
func (s *Stream) take(offset uint64) bool {
	most := s.sent
	if s.finSent {
		most++
	}
	if offset > most {
		s.abort("an acknowledgement of what was not sent", fmt.Errorf("%w: it has %d bytes, and %d were sent", ErrDesync, offset, most))
		return false
	}
	s.finAcked = s.finAcked || offset == s.out.end()+1
	if offset = min(offset, s.out.end()); offset > s.out.base {
		s.out.drop(int(offset - s.out.base))
	}
	return true
}
