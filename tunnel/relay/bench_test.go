package relay

import (
	"io"
	"net"
	"testing"
)

// BenchmarkThroughput carries 64 MiB over loopback TCP, by itself and through a stream, on the same machine in the same run.
func BenchmarkThroughput(b *testing.B) {
	const size = 64 << 20
	move := func(b *testing.B, w io.WriteCloser, r io.Reader) {
		b.SetBytes(size)
		b.ReportAllocs()
		block := make([]byte, 64<<10)
		sink := make([]byte, 64<<10)
		for range b.N {
			go func() {
				for range size / len(block) {
					if _, err := w.Write(block); err != nil {
						return
					}
				}
			}()
			for n := 0; n < size; {
				k, err := r.Read(sink)
				if err != nil {
					b.Fatal(err)
				}
				n += k
			}
		}
		w.Close()
	}
	b.Run("straight", func(b *testing.B) {
		var near, far net.Conn = tcpPair(b)
		move(b, near, far)
	})
	b.Run("stream", func(b *testing.B) {
		e := newEnds(b)
		e.connect()
		near, far := e.stream("x")
		move(b, near, far)
	})
}

// BenchmarkRoundTrip asks and answers 200 bytes.
func BenchmarkRoundTrip(b *testing.B) {
	ask := func(b *testing.B, near, far net.Conn) {
		go func() { _, _ = io.Copy(far, far) }()
		p := make([]byte, 200)
		for range b.N {
			if _, err := near.Write(p); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(near, p); err != nil {
				b.Fatal(err)
			}
		}
		near.Close()
	}
	b.Run("straight", func(b *testing.B) {
		near, far := tcpPair(b)
		ask(b, near, far)
	})
	b.Run("stream", func(b *testing.B) {
		e := newEnds(b)
		e.connect()
		near, far := e.stream("x")
		ask(b, near, far)
	})
}
