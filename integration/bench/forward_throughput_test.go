package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/debugbroker/debugbroker/integration/answering"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

const (
	bulkBytes   = 128 << 20 // moved in one sample, by all streams together
	bulkCount   = 9
	bulkWarmUp  = 1
	bulkTimeout = 2 * time.Minute
)

// ciphers are the two that OpenSSH and Go choose among by default: ssh prefers the first, Go the second where the processor has AES.
var ciphers = []string{ownCipher, "chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"}

// ownCipher leaves the choice to each program, as users do.
const ownCipher = "each one's default"

// bulkWay is one way to the server of bulk data.
type bulkWay struct {
	name, addr string
	pid        int // of the program that carries it, 0 where none does
	took       samples
	ticks      int // of CPU that the program took
}

func benchThroughput(b *testing.B, r *report) {
	ssh := tools.Need(b, tools.SSH)
	for _, cipher := range ciphers {
		s := sshd.New(b, sshd.Options{})
		if cipher != ownCipher {
			s.AddHost(sshd.Alias, "Ciphers "+cipher)
		}
		port := serveBulk(b)
		broker := brokertest.New(b, brokertest.Options{Server: s})
		tunneller, tunnelled := forward(b, s, ssh, port)
		ways := []*bulkWay{
			{name: "brokerctl forward", addr: brokerForward(broker, sshd.Alias, port), pid: broker.PID()},
			{name: "ssh -L", addr: tunnelled, pid: tunneller.cmd.Process.Pid},
			{name: "straight", addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))},
		}
		rows := [][]string{{"direction", "streams", "brokerctl forward", "ssh -L", "straight", "against ssh -L (p50)", "CPU s a GB", "of ssh -L"}}
		for _, down := range []bool{false, true} {
			for _, streams := range []int{1, 8} {
				name := map[bool]string{false: "up", true: "down"}[down]
				b.Run(fmt.Sprintf("%s/%s/%d", cipher, name, streams), func(b *testing.B) {
					benchBulk(b, ways, down, streams)
					gain := ratio(ways[1].took.p50(), ways[0].took.p50())
					rows = append(rows, []string{name, strconv.Itoa(streams), rate(ways[0]), rate(ways[1]), rate(ways[2]), fmt.Sprintf("%.2fx", gain), cost(ways[0]), cost(ways[1])})
					metric(b, gain, "x-ssh-L-p50")
				})
			}
		}
		r.table(fmt.Sprintf("Throughput with %s, MB/s, p50 of %d transfers of %d MiB each, in turns", cipher, bulkCount, bulkBytes>>20), rows)
		broker.OK("stop")
	}
}

func rate(w *bulkWay) string {
	return fmt.Sprintf("%.0f", float64(bulkBytes)/1e6/w.took.p50().Seconds())
}

// cost is the CPU time of the program that carries the bytes, seconds a gigabyte: unlike the rate it depends little on what else is running.
func cost(w *bulkWay) string {
	return fmt.Sprintf("%.2f", float64(w.ticks)/ticksPerSecond/(bulkCount*bulkBytes/1e9))
}

func benchBulk(b *testing.B, ways []*bulkWay, down bool, streams int) {
	for _, w := range ways {
		w.took, w.ticks = nil, 0
	}
	for i := range bulkWarmUp + bulkCount {
		for j := range ways {
			w := ways[(i+j)%len(ways)]
			before := w.cpu(b)
			began := time.Now()
			if err := move(w.addr, down, streams); err != nil {
				b.Fatalf("%s: %v", w.name, err)
			}
			if i >= bulkWarmUp {
				w.took = append(w.took, time.Since(began))
				w.ticks += w.cpu(b) - before
			}
		}
	}
}

func (w *bulkWay) cpu(b *testing.B) int {
	if w.pid == 0 {
		return 0
	}
	return taken(b, []int{w.pid}).ticks
}

// move carries bulkBytes over some connections, and returns when the last byte is known to have arrived.
func move(addr string, down bool, streams int) error {
	var all errgroup.Group
	for range streams {
		all.Go(func() error {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(bulkTimeout)); err != nil {
				return err
			}
			return moveOne(c, down, int64(bulkBytes/streams))
		})
	}
	return all.Wait()
}

// moveOne asks for n bytes, or sends n and waits for the one byte that says that they are there.
func moveOne(c net.Conn, down bool, n int64) error {
	head := make([]byte, 9)
	binary.BigEndian.PutUint64(head[1:], uint64(n))
	if down {
		head[0] = 1
	}
	if _, err := c.Write(head); err != nil {
		return err
	}
	if down {
		got, err := io.Copy(io.Discard, struct{ io.Reader }{c})
		if err == nil && got != n {
			err = fmt.Errorf("%d bytes of %d", got, n)
		}
		return err
	}
	if err := pour(c, n); err != nil {
		return err
	}
	_, err := io.ReadFull(c, head[:1])
	return err
}

// serveBulk is the other end of moveOne.
func serveBulk(b testing.TB) (port int) {
	return answering.Local(b, func(c net.Conn) {
		head := make([]byte, 9)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		n := int64(binary.BigEndian.Uint64(head[1:]))
		if head[0] == 1 {
			_ = pour(c, n)
			return
		}
		if got, err := io.Copy(io.Discard, struct{ io.Reader }{io.LimitReader(c, n)}); err == nil && got == n {
			_, _ = c.Write([]byte{1})
		}
	}).Port()
}

// pour writes n bytes that do not compress.
func pour(c io.Writer, n int64) error {
	block := make([]byte, 64<<10)
	for i := range block {
		block[i] = byte(i*i>>3 ^ i)
	}
	for n > 0 {
		k, err := c.Write(block[:min(n, int64(len(block)))])
		if err != nil {
			return err
		}
		if k == 0 {
			return errors.New("nothing was written")
		}
		n -= int64(k)
	}
	return nil
}
