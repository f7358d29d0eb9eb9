package relay

// queue is a run of a stream's bytes, from an offset on: a circular buffer that grows as it is filled and holds nothing once it is empty.
type queue struct {
	buf   []byte
	start int    // of the run in buf
	n     int    // bytes in it
	base  uint64 // offset of its first byte
}

const queueLeast = 4 << 10

func (q *queue) end() uint64 { return q.base + uint64(q.n) }

// push adds a copy of p at the end.
func (q *queue) push(p []byte) {
	if q.n+len(p) > len(q.buf) {
		size := max(queueLeast, len(q.buf))
		for size < q.n+len(p) {
			size *= 2
		}
		grown := make([]byte, size)
		q.copyTo(grown, 0)
		q.buf, q.start = grown, 0
	}
	at := (q.start + q.n) % max(len(q.buf), 1)
	k := copy(q.buf[at:], p)
	copy(q.buf, p[k:])
	q.n += len(p)
}

// copyTo copies what is from the i-th byte on.
func (q *queue) copyTo(p []byte, i int) int {
	total := min(len(p), q.n-i)
	if total <= 0 {
		return 0
	}
	at := (q.start + i) % len(q.buf)
	k := copy(p[:total], q.buf[at:])
	copy(p[k:total], q.buf)
	return total
}

// drop takes the first n bytes off.
func (q *queue) drop(n int) {
	q.n -= n
	q.base += uint64(n)
	if q.n == 0 {
		q.buf, q.start = nil, 0
		return
	}
	q.start = (q.start + n) % len(q.buf)
}

// pull moves bytes from its front into p.
func (q *queue) pull(p []byte) int {
	n := q.copyTo(p, 0)
	q.drop(n)
	return n
}
