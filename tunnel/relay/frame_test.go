package relay

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
)

// Every frame that can be read is written the same, but for those that are skipped; and no bytes at all are more than a refusal.
func FuzzFrames(f *testing.F) {
	for _, fr := range []frame{
		{kind: frameData, stream: 1, offset: 7, body: []byte("data")},
		{kind: frameFin, stream: 2, offset: 1 << 40},
		{kind: frameReset, stream: 3, body: []byte("reason")},
		{kind: frameAck, stream: 4, offset: 9, limit: 10},
		{kind: frameOpen, stream: 5, limit: window, body: []byte("header")},
	} {
		f.Add(fr.append(nil))
		f.Add(append(append(appendHead(nil, frameOptional|9, 0, 3), "new"...), fr.append(nil)...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := frameReader{r: bytes.NewReader(data)}
		for {
			fr, err := r.next()
			if err != nil {
				return
			}
			b := fr.append(nil)
			if !bytes.Contains(data, b) {
				t.Fatalf("%+v is written as %x", fr, b)
			}
		}
	})
}

// A hostile other side: whatever it sends, it ends its carrier or its streams, and what is held of it is bounded.
func FuzzHostile(f *testing.F) {
	empty := make([]byte, tableHead)
	open := frame{kind: frameOpen, stream: 1, limit: window, body: []byte("x")}
	for _, frames := range [][]frame{
		{open, {kind: frameData, stream: 1, body: []byte("hello")}, {kind: frameFin, stream: 1, offset: 5}},
		{open, {kind: frameData, stream: 1, offset: 1 << 63, body: []byte("far")}},
		{open, {kind: frameAck, stream: 1, offset: 1 << 63, limit: 1 << 63}},
		{open, open, {kind: frameReset, stream: 1}, {kind: frameOpen, stream: 3}, {kind: frameReset, stream: 3}},
		{{kind: frameOpen, stream: 2}}, {{kind: frameData, stream: 99, body: []byte("never opened")}},
	} {
		b := bytes.Clone(empty)
		for _, fr := range frames {
			b = fr.append(b)
		}
		f.Add(b)
	}
	entries := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 2), 2)
	f.Add(append(entries, make([]byte, 2*entryBytes)...))
	f.Add([]byte{0, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		m := NewMux(Options{Streams: 4})
		defer m.Close(nil)
		s, err := m.Open([]byte("ours"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte("ours")); err != nil {
			t.Fatal(err)
		}
		a, b := net.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- m.Carry(context.Background(), b, 1) }()
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			_, _ = io.Copy(io.Discard, a)
		}()
		_, _ = a.Write(data)
		a.Close()
		<-drained
		if err := <-ended; err == nil {
			t.Error("Carry ended without an error")
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		for id, s := range m.streams {
			if s.in.n > window || len(s.header) > MaxHeader {
				t.Errorf("stream %d holds %d bytes, and %d of header", id, s.in.n, len(s.header))
			}
		}
		if n := len(m.streams) - 1; n > 4 {
			t.Errorf("%d streams of the other side's", n)
		}
	})
}
