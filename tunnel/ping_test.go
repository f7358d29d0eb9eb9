package tunnel

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/debugbroker/debugbroker/integration/cutter"
	"github.com/debugbroker/debugbroker/integration/sshserver"
)

// startFaulty runs an SSH server with a fault until the test ends, behind a proxy that can swallow what it says.
func startFaulty(t testing.TB, fault sshserver.Fault) (*cutter.Proxy, Hop) {
	t.Helper()
	id := filepath.Join(t.TempDir(), "id")
	s, err := sshserver.Listen(sshserver.Config{AuthorizedKey: newKey(t, "ed25519", id, "").PublicKey(), Fault: fault})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	relay := cutter.New(t, s.Addr().String())
	known := filepath.Join(t.TempDir(), "known_hosts")
	writeFile(t, known, knownhosts.Line([]string{knownhosts.Normalize(relay.Addr())}, s.HostKey())+"\n")
	return relay, Hop{
		Alias: "box", HostName: "127.0.0.1", Port: relay.Port(), User: me(t), IdentityFiles: []string{id}, IdentityAgent: "none",
		UserKnownHostsFiles: []string{known},
	}
}

// answers waits for n answers to Pings of a connection.
func answers(t *testing.T, c *Conn, n int) {
	t.Helper()
	for range n {
		c.ping.mu.Lock()
		answered := c.ping.answered
		c.ping.mu.Unlock()
		select {
		case <-answered:
		case <-c.Done():
			t.Fatalf("the connection ended: %v", c.Err())
		case <-time.After(30 * time.Second):
			t.Fatal("no Ping is answered")
		}
	}
}

// A request that the server never answers neither hides a dead connection nor makes a living one look dead.
func TestPingPastAStuckRequest(t *testing.T) {
	t.Parallel()
	for _, fault := range []sshserver.Fault{sshserver.HangGlobal, sshserver.NoFault} {
		relay, hop := startFaulty(t, fault)
		hop.ServerAliveInterval, hop.ServerAliveCountMax = 500*time.Millisecond, 3
		l := dialLink(t, hop)
		conn := l.members[0].conn
		stuck := make(chan error, 1)
		if fault == sshserver.HangGlobal {
			go func() { // it queues behind the first keepalive, which is not answered either
				_, _, err := conn.ssh.SendRequest("tcpip-forward", true, ssh.Marshal(&struct {
					Addr string
					Port uint32
				}{"127.0.0.1", 0}))
				stuck <- err
			}()
		} else {
			stuck <- errors.New("none")
		}
		answers(t, conn, 6) // three missed ones would have ended it
		if err := l.Err(); err != nil {
			t.Fatalf("%q: %v", fault, err)
		}
		if l.RTT() <= 0 {
			t.Errorf("%q: no round trip is measured", fault)
		}
		if out, _ := runCommand(t, l, "echo works"); out != "works\n" {
			t.Errorf("%q: out = %q", fault, out)
		}
		relay.BlackHole()
		select {
		case <-l.Done():
		case <-time.After(30 * time.Second):
			t.Fatalf("%q: a silent server is not noticed", fault)
		}
		if err := <-stuck; err == nil {
			t.Errorf("%q: the request was answered", fault)
		}
	}
}

// sshd answers the opening of a channel that it does not know, and makes no fuss of it.
func TestPingByChannel(t *testing.T) {
	t.Parallel()
	server, hop := testBox(t)
	conn, err := (&Dialer{}).Dial(t.Context(), NewTarget([]Hop{hop}), Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually(t, "the login is logged", func() bool { return strings.Contains(server.Log(), "Accepted publickey") })
	before := len(server.Log())
	conn.ssh.turn <- struct{}{} // as if a request waited
	for range 100 {
		if rtt, err := conn.Ping(t.Context()); err != nil || rtt <= 0 {
			t.Fatalf("Ping = %s, %v", rtt, err)
		}
	}
	<-conn.ssh.turn
	runCommand(t, connCarrier{conn}, "true")
	eventually(t, "the command is logged", func() bool { return strings.Contains(server.Log()[before:], "Starting session") })
	if log := server.Log()[before:]; strings.Contains(log, "keepalive") || strings.Count(log, "\n") > 10 {
		t.Errorf("sshd says of it:\n%s", log)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	server, hop := testBox(t)
	relay, hop := behindCutter(t, server, hop)
	p := runPool(t, PoolOptions{})
	k, _ := keep(t, p, NewTarget([]Hop{hop}))
	link, err := k.Up(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	link.members[0].conn.probe("nothing at all")
	if err := link.Err(); err != nil {
		t.Fatalf("a link that answers was ended: %v", err)
	}
	relay.BlackHole()
	began := time.Now()
	p.Probe("a sleep of 1h")
	select {
	case <-link.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the probe does not end a dead link: its keepalives would take 45 s")
	}
	if took := time.Since(began); took < probeTime {
		t.Errorf("lost after %s: the server had no time to answer", took)
	}
	if err := link.Err(); !errors.Is(err, ErrLinkLost) || !strings.Contains(err.Error(), "no answer within 3s after a sleep of 1h") {
		t.Errorf("Err = %v", err)
	}
	// The Keeper's dial went into the hole too. Once it is old enough, a further probe starts it anew.
	eventually(t, "the Keeper dials", func() bool { return k.Status().State == LinkConnecting })
	<-time.After(time.Until(k.Status().Since.Add(staleDial)))
	relay.Heal()
	p.Probe("another network")
	if _, err := k.Up(patient(t)); err != nil {
		t.Error(err)
	}
}

// A connection that is asked for over a dead link finds that out, and works once the host can be reached again.
func TestKeeperDialOverADeadLink(t *testing.T) {
	t.Parallel()
	server, hop := testBox(t)
	relay, hop := behindCutter(t, server, hop)
	echo := echoServer(t)
	p := runPool(t, PoolOptions{})
	k, _ := keep(t, p, NewTarget([]Hop{hop}))
	link, err := k.Up(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	relay.BlackHole()
	asked := make(chan error, 1)
	ctx := patient(t)
	go func() { asked <- echoes(ctx, k, echo) }()
	select {
	case <-link.Done():
	case err := <-asked:
		t.Fatalf("Dial = %v before the link was lost", err)
	}
	relay.Heal()
	if err := <-asked; err != nil {
		t.Error(err)
	}
}
