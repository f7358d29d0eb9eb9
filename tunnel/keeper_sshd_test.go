package tunnel

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/answering"
	"github.com/debugbroker/debugbroker/integration/freeport"
)

// echoServer answers every connection with what it sends, until the test ends, and returns its address.
func echoServer(t testing.TB) string {
	t.Helper()
	return answering.Local(t, answering.Echo).Addr().String()
}

// echoes dials through a Keeper and sees that bytes come back.
func echoes(ctx context.Context, k *Keeper, address string) error {
	c, err := k.Dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "hello"); err != nil {
		return err
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(c, buf); err != nil {
		return err
	}
	if string(buf) != "hello" {
		return errors.New("got " + string(buf))
	}
	return nil
}

// patient is the time that a new connection gets, in which a Keeper may have to wait for its link: that of a forward.
func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// logins counts the connections that sshd has logged.
func logins(s *testSSHD) int { return strings.Count(s.Log(), "Connection from ") }

func TestKeeperStorm(t *testing.T) {
	const storm = 200
	for _, keepers := range []int{1, storm} {
		server, hop := testBox(t)
		echo := echoServer(t)
		p := runPool(t, PoolOptions{})
		all := make([]*Keeper, keepers)
		for i := range all {
			all[i], _ = keep(t, p, NewTarget([]Hop{hop}))
		}
		errs := make(chan error, storm)
		for i := range storm {
			go func() { errs <- echoes(patient(t), all[i%keepers], echo) }()
		}
		for range storm {
			if err := <-errs; err != nil {
				t.Fatalf("%d Keepers: %v", keepers, err)
			}
		}
		if n := logins(server); n != 1 {
			t.Errorf("%d Keepers with %d connections made %d logins, want 1", keepers, storm, n)
		}
		server.KillConnections()
		for i := range storm {
			go func() { errs <- echoes(patient(t), all[i%keepers], echo) }()
		}
		for range storm {
			// One that was opened in the very moment of the loss ends with it: what it had sent may have arrived.
			if err := <-errs; err != nil && !errors.Is(err, ErrLinkLost) {
				t.Fatalf("%d Keepers, after the loss: %v", keepers, err)
			}
		}
		if err := echoes(patient(t), all[0], echo); err != nil {
			t.Errorf("%d Keepers: %v", keepers, err)
		}
		if n := logins(server); n != 2 {
			t.Errorf("%d Keepers: %d logins after a loss, want 2", keepers, n)
		}
	}
}

func TestKeeperLosses(t *testing.T) {
	t.Parallel()
	server, hop := testBox(t)
	relay, hop := behindCutter(t, server, hop)
	hop.ServerAliveInterval, hop.ServerAliveCountMax = time.Second, 3
	echo := echoServer(t)
	p := runPool(t, PoolOptions{})
	target := NewTarget([]Hop{hop})
	k, _ := keep(t, p, target)
	tests := []struct {
		name string
		lose func()
	}{
		{"sshd's processes of the connection killed", func() { server.KillConnections() }},
		{"reset", relay.Cut},
		{"sshd restarted", func() { server.Stop(); server.Start() }},
		{"black hole", relay.BlackHole},
	}
	for _, test := range tests {
		link, err := k.Up(patient(t))
		if err != nil {
			t.Fatalf("before %s: %v", test.name, err)
		}
		if err := echoes(patient(t), k, echo); err != nil {
			t.Fatalf("before %s: %v", test.name, err)
		}
		test.lose()
		select {
		case <-link.Done():
		case <-patient(t).Done():
			t.Fatalf("%s: not noticed", test.name)
		}
		relay.Heal()
		if err := echoes(patient(t), k, echo); err != nil {
			t.Errorf("after %s: %v", test.name, err)
		}
	}
	if s, _ := p.Status(target.Key()); s.State != LinkUp || s.Reconnects != len(tests) {
		t.Errorf("Status = %+v after %d losses", s, len(tests))
	}
}

// A chain of hops is kept up as a whole, whichever of them is lost.
func TestKeeperOverJump(t *testing.T) {
	t.Parallel()
	jump, first := testBox(t)
	server, last := testBox(t)
	relay, first := behindCutter(t, jump, first)
	first.Alias = "bastion"
	echo := echoServer(t)
	p := runPool(t, PoolOptions{})
	k, _ := keep(t, p, NewTarget([]Hop{first, last}))
	for _, test := range []struct {
		name string
		lose func()
	}{
		{"nothing", nil},
		{"the jump host's connections killed", func() { jump.KillConnections() }},
		{"the last host's connections killed", func() { server.KillConnections() }},
		{"a black hole before the jump host", func() { relay.BlackHole(); p.Probe("a sleep of 1h") }},
	} {
		link, err := k.Up(patient(t))
		if err != nil {
			t.Fatalf("before %s: %v", test.name, err)
		}
		if test.lose != nil {
			test.lose()
			select {
			case <-link.Done():
			case <-patient(t).Done():
				t.Fatalf("%s: not noticed", test.name)
			}
			relay.Heal()
		}
		if err := echoes(patient(t), k, echo); err != nil {
			t.Errorf("after %s: %v", test.name, err)
		}
	}
}

// The status of the pool says what its Keepers are at, and another's dial helps a Keeper that a person must help.
func TestKeeperAndPool(t *testing.T) {
	t.Parallel()
	server, hop := testBox(t)
	known := hop.UserKnownHostsFiles[0]
	line, err := os.ReadFile(known)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, known, "")
	target := NewTarget([]Hop{hop})
	p := runPool(t, PoolOptions{})
	k, stop := keep(t, p, target)
	state := func() string { s, _ := p.Status(target.Key()); return s.State }
	eventually(t, "the Keeper needs a person", func() bool { return k.Status().State == LinkNeedsAuth })
	if s, ok := p.Status(target.Key()); !ok || s.State != LinkNeedsAuth || !errors.Is(s.Err, ErrHostKey) {
		t.Errorf("Status = %+v", s)
	}
	writeFile(t, known, string(line))
	h, err := p.Host(t.Context(), "box", target, Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	if _, err := k.Up(patient(t)); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	eventually(t, "the Keeper waits", func() bool { return state() == LinkWaiting })
	if s, _ := p.Status(target.Key()); !errors.Is(s.Err, ErrUnreachable) && !errors.Is(s.Err, ErrLinkLost) {
		t.Errorf("Status = %+v", s)
	}
	server.Start()
	k.Retry()
	if _, err := k.Up(patient(t)); err != nil {
		t.Fatal(err)
	}
	if s := state(); s != LinkUp {
		t.Errorf("State = %s", s)
	}
	stop()
	server.KillConnections()
	eventually(t, "nobody wants the link", func() bool { return state() == LinkDown })
}

// A configuration that is edited counts from the next dial on.
func TestKeeperResolvesAnew(t *testing.T) {
	_, hop := testBox(t)
	wrong := hop
	wrong.Port = freeport.On127(t)
	wrong.UserKnownHostsFiles = []string{filepath.Join(t.TempDir(), "none")}
	var mu sync.Mutex
	target := NewTarget([]Hop{wrong})
	p := runPool(t, PoolOptions{})
	k := NewKeeper(p, KeeperOptions{Name: "box", Resolve: func(context.Context) (Target, Caller, error) {
		mu.Lock()
		defer mu.Unlock()
		return target, Caller{}, nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	eventually(t, "the wrong port", func() bool { return k.Status().State == LinkWaiting })
	mu.Lock()
	target = NewTarget([]Hop{hop})
	mu.Unlock()
	k.Retry()
	if _, err := k.Up(patient(t)); err != nil {
		t.Error(err)
	}
}

func TestKeeperPoolClosed(t *testing.T) {
	p := NewPool(PoolOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	k := NewKeeper(p, KeeperOptions{Name: "box", Resolve: func(context.Context) (Target, Caller, error) { return Target{}, Caller{}, nil }})
	if err := k.Run(t.Context()); !errors.Is(err, ErrPoolClosed) {
		t.Errorf("Run = %v, want ErrPoolClosed", err)
	}
	if _, err := k.Up(t.Context()); !errors.Is(err, ErrKeeperEnded) {
		t.Errorf("Up = %v, want ErrKeeperEnded", err)
	}
}
