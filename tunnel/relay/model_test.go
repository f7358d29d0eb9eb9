package relay

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"pgregory.net/rapid"
)

// way is what a model knows of one direction of a stream.
type way struct {
	from, to      *Stream // to is nil until it was accepted
	written, read int
	fin           bool // CloseWrite was called
	seed          byte
}

func (w *way) at(i int) byte { return w.seed + byte(i) + byte(i>>8)*7 }

// model is a pair of ends as it should be.
type model struct {
	t    testing.TB
	e    *ends
	cut  func() // nil while there is no carrier
	ways []*way
	// What has been opened is accepted in the same order.
	unaccepted []int
}

func (m *model) write(r *rapid.T) {
	w := m.any(r, func(w *way) bool { return !w.fin && w.written-w.read < window/2 })
	if w == nil {
		return
	}
	p := make([]byte, rapid.IntRange(1, 50_000).Draw(r, "bytes"))
	for i := range p {
		p[i] = w.at(w.written + i)
	}
	within(m.t, w.from)
	if n, err := w.from.Write(p); n != len(p) || err != nil {
		r.Fatalf("Write = %d, %v", n, err)
	}
	w.written += len(p)
}

func (m *model) closeWrite(r *rapid.T) {
	w := m.any(r, func(w *way) bool { return !w.fin })
	if w == nil {
		return
	}
	if err := w.from.CloseWrite(); err != nil {
		r.Fatalf("CloseWrite = %v", err)
	}
	w.fin = true
}

// consume reads some of what must come.
func (m *model) consume(r *rapid.T) {
	w := m.any(r, func(w *way) bool { return w.to != nil && w.read < w.written })
	if w == nil {
		return
	}
	if err := w.take(m.t, rapid.IntRange(1, w.written-w.read).Draw(r, "bytes")); err != nil {
		r.Fatal(err)
	}
}

func (w *way) take(t testing.TB, n int) error {
	within(t, w.to)
	p := make([]byte, n)
	if k, err := io.ReadFull(w.to, p); err != nil {
		return fmt.Errorf("read %d bytes of %d: %w", k, n, err)
	}
	for i, b := range p {
		if b != w.at(w.read+i) {
			return fmt.Errorf("byte %d is %d, want %d", w.read+i, b, w.at(w.read+i))
		}
	}
	w.read += n
	return nil
}

func (m *model) any(r *rapid.T, fit func(*way) bool) *way {
	var all []*way
	for _, w := range m.ways {
		if fit(w) {
			all = append(all, w)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return rapid.SampledFrom(all).Draw(r, "direction")
}

func (m *model) open(r *rapid.T) {
	if len(m.ways) >= 12 {
		return
	}
	s, err := m.e.client.Open([]byte{byte(len(m.ways))})
	if err != nil {
		r.Fatal(err)
	}
	k := byte(len(m.ways)) * 29
	m.ways = append(m.ways, &way{from: s, seed: k}, &way{to: s, seed: k + 128, fin: true}) // nobody writes on the other end yet
	m.unaccepted = append(m.unaccepted, len(m.ways)-2)
}

func (m *model) connect() {
	if m.cut == nil {
		m.cut = m.e.connect()
	}
	for _, i := range m.unaccepted {
		far := m.e.accept()
		m.ways[i].to, m.ways[i+1].from, m.ways[i+1].fin = far, far, false
	}
	m.unaccepted = nil
}

func (m *model) disconnect() {
	if m.cut != nil {
		m.cut()
		m.cut = nil
	}
}

// Whatever is done in whatever order, over however many carriers, each direction gets its own bytes, each once and in order.
func TestModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		e := &ends{t: t, client: NewMux(Options{Client: true, Streams: 4}), server: NewMux(Options{Streams: MaxStreams})}
		m := &model{t: t, e: e}
		defer func() {
			m.disconnect()
			e.client.Close(nil)
			e.server.Close(nil)
			e.carrying.Wait()
		}()
		m.open(r)
		r.Repeat(map[string]func(*rapid.T){
			"open":       m.open,
			"write":      m.write,
			"write more": m.write,
			"end":        m.closeWrite,
			"connect":    func(*rapid.T) { m.connect() },
			"cut":        func(*rapid.T) { m.disconnect() },
			"cut in the midst": func(r *rapid.T) {
				m.disconnect()
				a, b := shortPair(rapid.Int64Range(0, 200_000).Draw(r, "carries"))
				m.e.carry(a, b)()
			},
			"read": func(r *rapid.T) {
				m.connect()
				m.consume(r)
			},
		})
		m.connect()
		for i, w := range m.ways {
			if !w.fin {
				if err := w.from.CloseWrite(); err != nil {
					r.Fatalf("direction %d: CloseWrite = %v", i, err)
				}
			}
			if w.read < w.written {
				if err := w.take(t, w.written-w.read); err != nil {
					r.Fatalf("direction %d: %v", i, err)
				}
			}
			within(t, w.to)
			if n, err := w.to.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				r.Fatalf("direction %d: Read = %d, %v after %d bytes", i, n, err, w.written)
			}
		}
		idle(t, e.client)
		idle(t, e.server)
	})
}

// A queue is a slice that remembers how much was taken off.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var q queue
		var want []byte
		var base uint64
		next := byte(0)
		r.Repeat(map[string]func(*rapid.T){
			"push": func(r *rapid.T) {
				p := make([]byte, rapid.IntRange(0, 9000).Draw(r, "n"))
				for i := range p {
					p[i] = next
					next++
				}
				q.push(p)
				want = append(want, p...)
			},
			"pull": func(r *rapid.T) {
				p := make([]byte, rapid.IntRange(0, 9000).Draw(r, "n"))
				n := q.pull(p)
				if n != min(len(p), len(want)) || string(p[:n]) != string(want[:n]) {
					r.Fatalf("pulled %d of %d", n, len(want))
				}
				want, base = want[n:], base+uint64(n)
			},
			"drop": func(r *rapid.T) {
				n := rapid.IntRange(0, len(want)).Draw(r, "n")
				q.drop(n)
				want, base = want[n:], base+uint64(n)
			},
			"": func(r *rapid.T) {
				p := make([]byte, len(want)+1)
				i := 0
				if len(want) > 0 {
					i = rapid.IntRange(0, len(want)-1).Draw(r, "from")
				}
				if n := q.copyTo(p, i); string(p[:n]) != string(want[i:]) || q.base != base || q.end() != base+uint64(len(want)) {
					r.Fatalf("holds %d bytes from %d to %d, want %d from %d on", n, q.base, q.end(), len(want), base)
				}
			},
		})
	})
}
