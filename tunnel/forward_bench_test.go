package tunnel

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/freeport"
)

// BenchmarkForward carries bytes through a forward, and through `ssh -L` with the same cipher and the same sshd, side by side.
func BenchmarkForward(b *testing.B) {
	const cipher = "aes128-gcm@openssh.com"
	server, hop := testBox(b)
	hop.Ciphers = []string{cipher}
	sink := serve(b, "tcp4", "127.0.0.1:0", func(c net.Conn) { _, _ = io.Copy(io.Discard, c); _, _ = c.Write([]byte{1}) })
	source := serve(b, "tcp4", "127.0.0.1:0", func(c net.Conn) {
		block := make([]byte, 1<<20)
		for err := error(nil); err == nil; {
			_, err = c.Write(block)
		}
	})
	k, _ := keep(b, runPool(b, PoolOptions{}), NewTarget([]Hop{hop}))
	ours := func(target net.Listener) string {
		return running(b, ForwardLocal, fmt.Sprintf("0:127.0.0.1:%d", portOf(target)), k, ForwardOptions{}).Status().Listen.String()
	}
	theirs := func(target net.Listener) string {
		port := freeport.On127(b)
		cmd := exec.Command("ssh", "-F", "/dev/null", "-N", "-c", cipher, "-i", hop.IdentityFiles[0], "-o", "UserKnownHostsFile="+hop.UserKnownHostsFiles[0],
			"-p", strconv.Itoa(server.Port()), "-L", fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", port, portOf(target)), "127.0.0.1")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		address := "127.0.0.1:" + strconv.Itoa(port)
		for range 500 {
			if c, err := net.Dial("tcp", address); err == nil {
				c.Close()
				return address
			}
			time.Sleep(10 * time.Millisecond)
		}
		b.Fatal("ssh does not listen")
		return ""
	}
	up, down := []string{ours(sink), theirs(sink)}, []string{ours(source), theirs(source)}
	for _, streams := range []int{1, 8} {
		for i, who := range []string{"brokerd", "ssh"} {
			b.Run(fmt.Sprintf("up/%d/%s", streams, who), func(b *testing.B) {
				carry(b, up[i], streams, func(c net.Conn, bytes int) error {
					if _, err := c.Write(make([]byte, bytes)); err != nil {
						return err
					}
					if err := c.(*net.TCPConn).CloseWrite(); err != nil {
						return err
					}
					_, err := io.ReadFull(c, make([]byte, 1))
					return err
				})
			})
			b.Run(fmt.Sprintf("down/%d/%s", streams, who), func(b *testing.B) {
				carry(b, down[i], streams, func(c net.Conn, bytes int) error {
					_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(c, int64(bytes)), make([]byte, 256<<10))
					return err
				})
			})
		}
	}
}

// carry moves 64 MiB an operation, over so many connections.
func carry(b *testing.B, address string, streams int, move func(net.Conn, int) error) {
	const size = 64 << 20
	b.SetBytes(size)
	for range b.N {
		var all sync.WaitGroup
		for range streams {
			c, err := net.Dial("tcp", address)
			if err != nil {
				b.Fatal(err)
			}
			all.Go(func() {
				defer c.Close()
				if err := move(c, size/streams); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
	}
}
