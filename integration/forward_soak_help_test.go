package integration_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
)

// soakSocks reaches an echo on 127.0.0.1 by SOCKS5 (RFC 1928), by a name that the far end resolves.
func soakSocks(ctx context.Context, proxy string, port uint16) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", proxy)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	const name = "localhost"
	request := append([]byte{5, 1, 0, 5, 1, 0, 3, byte(len(name))}, name...)
	request = binary.BigEndian.AppendUint16(request, port)
	answer := make([]byte, 2+10)
	if _, err = c.Write(request); err == nil {
		_, err = io.ReadFull(c, answer)
	}
	if err == nil && (answer[0] != 5 || answer[1] != 0 || answer[3] != 0) {
		err = fmt.Errorf("SOCKS answers % x", answer)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// soakListing is what must stay: each forward's name, state and addresses.
func soakListing(b *brokertest.Broker) (lines []string) {
	for _, f := range brokertest.JSON[[]api.Forward](b, "forwards") {
		lines = append(lines, fmt.Sprintf("%s %s %s %s %s %s", f.Name, f.Host, f.Kind, f.Listen, f.Target, f.State))
	}
	slices.Sort(lines)
	return lines
}

// daemonUse is what the daemon holds.
type daemonUse struct{ goroutines, files int }

// settled waits until what connections left behind has ended, as far as enough says, and returns what is held then.
func settled(t *testing.T, b *brokertest.Broker, enough func(daemonUse) bool) daemonUse {
	t.Helper()
	var last daemonUse
	for range 60 {
		time.Sleep(500 * time.Millisecond) // that nothing more ends is no event
		now := use(t, b)
		if now == last && enough(now) {
			break
		}
		last = now
	}
	return last
}

func use(t *testing.T, b *brokertest.Broker) daemonUse {
	t.Helper()
	client := api.NewClient(b.Socket())
	defer client.Close()
	info, err := client.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", info.PID))
	if err != nil {
		t.Fatal(err)
	}
	return daemonUse{info.Goroutines, len(files)}
}
