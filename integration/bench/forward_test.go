package bench

import (
	"io"
	"net"
	"strconv"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/answering"
	"github.com/debugbroker/debugbroker/integration/brokertest"
)

func benchForwards(b *testing.B, r *report) {
	b.Run("throughput", func(b *testing.B) { benchThroughput(b, r) })
	b.Run("latency", func(b *testing.B) { benchLatency(b, r) })
	b.Run("recovery", func(b *testing.B) { benchRecovery(b, r) })
	b.Run("footprint", func(b *testing.B) { benchFootprint(b, r) })
}

// brokerForward has the broker forward a free local port to a port of the host's loopback, and returns the local address.
func brokerForward(broker *brokertest.Broker, host string, port int) string {
	f := brokertest.JSON[[]api.Forward](broker, "forward", host, "-L", "127.0.0.1:0:127.0.0.1:"+strconv.Itoa(port))
	return f[0].Listen
}

// serveEcho sends back what comes.
func serveEcho(b testing.TB) (port int) {
	b.Helper()
	return answering.Local(b, func(c net.Conn) { _, _ = io.Copy(c, struct{ io.Reader }{c}) }).Port() // not by splice(2): small messages are what counts
}
