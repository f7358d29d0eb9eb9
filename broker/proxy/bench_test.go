package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/debugbroker/debugbroker/adapters/dap"
)

// BenchmarkRoundTrip compares a question and its answer through the Proxy with the same through a proxy that only copies, and with no
// proxy. The answers are those of a stack trace and of a large variable.
func BenchmarkRoundTrip(b *testing.B) {
	for _, size := range []int{2 << 10, 1 << 20} {
		answer := frame(`{"seq":0,"type":"response","request_seq":1,"success":true,"command":"stackTrace","body":{"x":"` + strings.Repeat("y", size) + `"}}`)
		dial := server(b, func(c net.Conn) {
			r := dap.NewReader(c, dap.MaxBody)
			for {
				if _, err := r.Next(); err != nil {
					return
				}
				if _, err := io.WriteString(c, answer); err != nil {
					return
				}
			}
		})
		paths := []struct {
			name string
			addr func() string
		}{
			{"straight", func() string {
				c, err := dial(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				return c.RemoteAddr().String()
			}},
			{"io.Copy", func() string { return copier(b, dial) }},
			{"proxy", func() string { return start(b, Config{Protocol: "dap", Dial: dial}).addr }},
			{"proxy, one client", func() string { return start(b, Config{Protocol: "dap", OneClient: true, Dial: dial}).addr }},
		}
		for _, p := range paths {
			b.Run(fmt.Sprintf("%s/%dKiB", p.name, size>>10), func(b *testing.B) {
				c, err := net.Dial("tcp4", p.addr())
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				r := dap.NewReader(bufio.NewReader(c), dap.MaxBody)
				question := frame(`{"seq":1,"type":"request","command":"stackTrace","arguments":{"threadId":1}}`)
				b.SetBytes(int64(len(answer)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := io.WriteString(c, question); err != nil {
						b.Fatal(err)
					}
					if _, err := r.Next(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// copier is the proxy that one would write in ten lines.
func copier(b *testing.B, dial func(context.Context) (net.Conn, error)) string {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	b.Cleanup(func() { ln.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := dial(context.Background())
			if err != nil {
				b.Error(err)
				return
			}
			for _, pair := range [][2]net.Conn{{c, far}, {far, c}} {
				wg.Go(func() {
					_, _ = io.Copy(struct{ io.Writer }{pair[0]}, struct{ io.Reader }{pair[1]})
					pair[0].Close()
				})
			}
		}
	})
	return ln.Addr().String()
}
