package integration_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/answering"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/netns"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// network is a laptop, a gate that it reaches, and an inner host behind the gate, each in a network namespace of its own.
type network struct {
	t                   *testing.T
	laptop, gate, inner *netns.Space
	gateway, far        *sshd.Server
	echo                int // a port of the inner host's loopback
	*brokertest.Broker
}

const (
	laptopAddress, secondAddress, gateAddress = "10.77.1.10", "10.77.1.11", "10.77.1.1"
	gateAddress6                              = "fd77:1::1"
	innerAddress                              = "10.77.2.2"
)

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{t: t, laptop: netns.New(t, "laptop"), gate: netns.New(t, "gate"), inner: netns.New(t, "inner")}
	on := func(addr string, bits int) netip.Prefix { return netip.PrefixFrom(netip.MustParseAddr(addr), bits) }
	netns.Join(n.laptop, n.gate, "wifi", "street", on(laptopAddress, 24), on(gateAddress, 24))
	n.laptop.Address("wifi", on(secondAddress, 24))
	n.laptop.Address("wifi", on("fd77:1::10", 64))
	n.gate.Address("street", on(gateAddress6, 64))
	netns.Join(n.gate, n.inner, "hall", "door", on("10.77.2.1", 24), on(innerAddress, 24))

	n.gateway = sshd.New(t, sshd.Options{Alias: "gate", Address: gateAddress, Within: n.gate.Argv(), Lines: []string{"AddressFamily any", "ListenAddress " + gateAddress6}})
	n.gateway.TrustAt(gateAddress6, n.gateway.Port())
	n.gateway.AddHost("gate6", "HostName "+gateAddress6, "AddressFamily inet6")
	n.gateway.AddHost("bound", "BindAddress "+secondAddress)
	n.far = sshd.New(t, sshd.Options{Alias: "inner", Address: innerAddress, Within: n.inner.Argv(), Jump: n.gateway})
	n.far.AddHost("quick", "ServerAliveInterval 2", "ServerAliveCountMax 2")
	if err := n.inner.Do(func() error {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err == nil {
			n.echo = answering.On(t, l, answering.Echo).Port()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	n.Broker = brokertest.New(t, brokertest.Options{Server: n.far, Within: n.laptop.Argv()})
	return n
}

// forward asks for a forward to the echo, as seen from host, and returns its local address.
func (n *network) forward(host, target string) string {
	n.t.Helper()
	f := brokertest.JSON[[]api.Forward](n.Broker, "forward", host, "-L", "127.0.0.1:0:"+target)
	if len(f) != 1 || f[0].State != api.ForwardUp {
		n.t.Fatalf("forward %s: %+v", host, f)
	}
	return f[0].Listen
}

// dial connects from the laptop. The connection's deadline is limit from now.
func (n *network) dial(addr string, limit time.Duration) (c net.Conn, err error) {
	end := time.Now().Add(limit)
	err = n.laptop.Do(func() (err error) { c, err = net.DialTimeout("tcp", addr, limit); return err })
	if err == nil {
		err = c.SetDeadline(end)
	}
	return c, err
}

// talks gets bytes through a forward and back, from the laptop, within limit.
func (n *network) talks(addr string, limit time.Duration) error {
	c, err := n.dial(addr, limit)
	if err != nil {
		return err
	}
	return exchange(c)
}

// exchange sends bytes to an echo, half-closes, and demands them back. It closes c.
func exchange(c net.Conn) error {
	defer c.Close()
	message := bytes.Repeat([]byte("knock "), 1000)
	go func() {
		if _, err := c.Write(message); err == nil {
			_ = c.(*net.TCPConn).CloseWrite()
		}
	}()
	got, err := io.ReadAll(c)
	if err == nil && !bytes.Equal(got, message) {
		err = fmt.Errorf("%d bytes back of %d", len(got), len(message))
	}
	return err
}

// TestForwardsAcrossNetworks: the ways in that loopback cannot show, and a laptop that changes its network.
func TestForwardsAcrossNetworks(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	through := n.forward("inner", "127.0.0.1:"+strconv.Itoa(n.echo))
	const soon = 30 * time.Second
	if err := n.talks(through, soon); err != nil {
		t.Fatalf("through the gate: %v", err)
	}

	// The echo listens on the inner host's loopback only; its sshd is what the gate can reach.
	for _, host := range []string{"gate6", "bound"} {
		f := n.forward(host, innerAddress+":"+strconv.Itoa(n.far.Port()))
		c, err := n.dial(f, soon)
		if err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 4)
		if _, err := io.ReadFull(c, head); err != nil || string(head) != "SSH-" {
			t.Errorf("by %s: %q, %v", host, head, err)
		}
		c.Close()
	}
	if log := n.gateway.Log(); !strings.Contains(log, "Connection from fd77:1::10 ") || !strings.Contains(log, "Connection from "+secondAddress+" ") {
		t.Errorf("the gate was reached from elsewhere:\n%s", log)
	}

	// Another network, another address: the old connection can say nothing more, and nobody tells the laptop that it is dead. Keepalives of
	// 15 s, three of them, would take longer than a forward waits.
	n.laptop.IP("address", "flush", "dev", "wifi", "scope", "global")
	n.laptop.Address("wifi", netip.MustParsePrefix("10.77.1.99/24"))
	if err := n.retries(through, soon); err != nil {
		t.Errorf("after the address has changed: %v", err)
	}

	// The cable is pulled. The listener stays, and who comes meanwhile waits.
	n.laptop.IP("link", "set", "wifi", "down")
	early, err := n.dial(through, soon)
	if err != nil {
		t.Fatalf("the listener is gone while the cable is out: %v", err)
	}
	n.laptop.IP("link", "set", "wifi", "up")
	if err := exchange(early); err != nil {
		t.Errorf("who came while the cable was out: %v", err)
	}

	// It is pulled for so long that a link with short keepalives is given up. Who comes then waits for the next one.
	quick := n.forward("quick", "127.0.0.1:"+strconv.Itoa(n.echo))
	n.gate.IP("link", "set", "street", "down")
	n.awaitState(quick, api.ForwardWaiting)
	if early, err = n.dial(quick, soon); err != nil {
		t.Fatalf("the listener is gone without a link: %v", err)
	}
	n.gate.IP("link", "set", "street", "up")
	if err := exchange(early); err != nil {
		t.Errorf("who came without a link: %v", err)
	}
}

// retries is talks for a line that may just be found dead.
func (n *network) retries(addr string, limit time.Duration) (err error) {
	for end := time.Now().Add(limit); time.Now().Before(end); {
		if err = n.talks(addr, 2*time.Second); err == nil {
			return nil
		}
	}
	return err
}

// awaitState waits until brokerctl shows a forward so.
func (n *network) awaitState(listen string, state api.ForwardState) {
	n.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		all := brokertest.JSON[[]api.Forward](n.Broker, "forwards")
		for _, f := range all {
			if f.Listen == listen && f.State == state {
				return
			}
		}
		if time.Now().After(end) {
			n.t.Fatalf("no forward on %s became %s: %+v", listen, state, all)
		}
	}
}
