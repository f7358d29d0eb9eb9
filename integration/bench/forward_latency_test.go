package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

const (
	connectCount  = 200
	messageCount  = 2000
	latencyWarmUp = 20
	messageSize   = 200 // bytes: what a debugger's message has
)

// talkWay is one way to an echo: new connections, and one that stays.
type talkWay struct {
	name, addr         string
	stays              net.Conn
	connects, messages samples
}

func benchLatency(b *testing.B, r *report) {
	ssh := tools.Need(b, tools.SSH)
	s := sshd.New(b, sshd.Options{})
	port := serveEcho(b)
	broker := brokertest.New(b, brokertest.Options{Server: s})
	_, tunnelled := forward(b, s, ssh, port)
	ways := []*talkWay{
		{name: "brokerctl forward", addr: brokerForward(broker, sshd.Alias, port)},
		{name: "ssh -L", addr: tunnelled},
		{name: "straight", addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))},
	}
	ctx, cancel := context.WithTimeout(b.Context(), bulkTimeout)
	defer cancel()
	for i := range latencyWarmUp + connectCount {
		for j := range ways {
			w := ways[(i+j)%len(ways)]
			began := time.Now()
			c, err := hello(ctx, w.addr)
			if err != nil {
				b.Fatalf("%s: %v", w.name, err)
			}
			if i >= latencyWarmUp {
				w.connects = append(w.connects, time.Since(began))
			}
			c.Close()
		}
	}
	for _, w := range ways {
		c, err := hello(ctx, w.addr)
		if err != nil {
			b.Fatalf("%s: %v", w.name, err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(bulkTimeout))
		w.stays = c
	}
	message := make([]byte, messageSize)
	for i := range latencyWarmUp + messageCount {
		for j := range ways {
			w := ways[(i+j)%len(ways)]
			began := time.Now()
			if err := echoed(w.stays, message); err != nil {
				b.Fatalf("%s: %v", w.name, err)
			}
			if i >= latencyWarmUp {
				w.messages = append(w.messages, time.Since(began))
			}
		}
	}
	rows := [][]string{{"way", "connect, p50", "p99", "against ssh -L (p50)", "message, p50", "p99", "against ssh -L (p50)"}}
	base := ways[1]
	for _, w := range ways {
		rows = append(rows, []string{w.name, us(w.connects.p50()), us(w.connects.p99()), fmt.Sprintf("%.2fx", ratio(base.connects.p50(), w.connects.p50())),
			us(w.messages.p50()), us(w.messages.p99()), fmt.Sprintf("%.2fx", ratio(base.messages.p50(), w.messages.p50()))})
	}
	r.table(fmt.Sprintf("Until a new connection has its first byte back (%d), and a round trip of %d bytes (%d), in turns (above 1.00x: faster than ssh -L)",
		connectCount, messageSize, messageCount), rows)
	metric(b, ratio(base.messages.p50(), ways[0].messages.p50()), "x-ssh-L-message-p50")
	b.ReportMetric(ratio(base.connects.p50(), ways[0].connects.p50()), "x-ssh-L-connect-p50")
}

func us(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }

// hello opens a connection to an echo and waits for its first byte: that a tunnel accepts says nothing yet.
func hello(ctx context.Context, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	err = echoed(c, []byte{1})
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func echoed(c net.Conn, message []byte) error {
	if _, err := c.Write(message); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, len(message)))
	return err
}
