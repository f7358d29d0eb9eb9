package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/freeport"
	"golang.org/x/crypto/ssh"
)

// runPool runs a pool until the test ends.
func runPool(t testing.TB, options PoolOptions) *Pool {
	t.Helper()
	p := NewPool(options)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return p
}

func TestPoolStorm(t *testing.T) {
	server, hop := testBox(t)
	counter, hop := behindCutter(t, server, hop)
	target := NewTarget([]Hop{hop})
	p := runPool(t, PoolOptions{Linger: 50 * time.Millisecond})
	const storm = 200
	hosts := make([]Host, storm)
	errs := make([]error, storm)
	var wg sync.WaitGroup
	for i := range storm {
		wg.Go(func() {
			ctx := t.Context()
			if i%4 == 0 { // some lose patience
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Duration(i)*time.Microsecond)
				defer cancel()
			}
			hosts[i], errs[i] = p.Host(ctx, fmt.Sprintf("box%d", i), target, Caller{}, nil)
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil && (i%4 != 0 || !errors.Is(err, context.DeadlineExceeded)) {
			t.Errorf("Host %d: %v", i, err)
		}
	}
	if n := counter.Accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	if status, ok := p.Status(target.Key()); !ok || status.State != LinkUp || status.Conns != 1 {
		t.Errorf("Status = %+v, %v", status, ok)
	}
	var last Host
	for i, h := range hosts {
		if h == nil {
			continue
		}
		if want := fmt.Sprintf("box%d", i); h.Name() != want {
			t.Errorf("Name = %q, want %q", h.Name(), want)
		}
		if last = h; i < storm-1 {
			h.Release()
			h.Release() // counts once
		}
	}
	select {
	case <-last.Done():
		t.Error("the link ended while in use")
	case <-time.After(200 * time.Millisecond):
	}
	last.Release()
	select {
	case <-last.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("an unused link does not end")
	}
	eventually(t, "the link is forgotten", func() bool { s, ok := p.Status(target.Key()); return ok && s.State == LinkDown })
	again, err := p.Host(t.Context(), "box", target, Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Release()
	if s, _ := p.Status(target.Key()); s.Reconnects != 0 {
		t.Errorf("Reconnects = %d after a link that was not lost", s.Reconnects)
	}
}

func TestPoolLinger(t *testing.T) {
	server, hop := testBox(t)
	counter, hop := behindCutter(t, server, hop)
	p := runPool(t, PoolOptions{})
	for range 3 {
		h, err := p.Host(t.Context(), "box", NewTarget([]Hop{hop}), Caller{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		h.Release()
	}
	if n := counter.Accepted(); n != 1 {
		t.Errorf("%d connections for three users in a row, want 1", n)
	}
}

func TestPoolReconnect(t *testing.T) {
	server, hop := testBox(t)
	target := NewTarget([]Hop{hop})
	p := runPool(t, PoolOptions{})
	for round := range 3 {
		h, err := p.Host(t.Context(), "box", target, Caller{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s, _ := p.Status(target.Key()); s.Reconnects != round || s.State != LinkUp {
			t.Errorf("Status = %+v in round %d", s, round)
		}
		server.KillConnections()
		select {
		case <-h.Done():
		case <-time.After(10 * time.Second):
			t.Fatal("the loss is not noticed")
		}
		if !errors.Is(h.Err(), ErrLinkLost) {
			t.Errorf("Err = %v", h.Err())
		}
		eventually(t, "the link is forgotten", func() bool { s, _ := p.Status(target.Key()); return s.State == LinkDown })
		h.Release()
	}
}

func TestPoolFailures(t *testing.T) {
	p := runPool(t, PoolOptions{})
	refused := NewTarget([]Hop{{Alias: "box", HostName: "127.0.0.1", Port: freeport.On127(t)}})
	for range 2 { // a failure is not kept
		if _, err := p.Host(t.Context(), "box", refused, Caller{}, nil); !errors.Is(err, ErrUnreachable) {
			t.Errorf("Host = %v, want ErrUnreachable", err)
		}
	}
	if _, ok := p.Status("nobody asked"); ok {
		t.Error("there is a status of what nobody asked for")
	}
}

// The last waiter that leaves takes the dial along.
func TestPoolAbandonedDial(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	p := runPool(t, PoolOptions{})
	target := NewTarget([]Hop{{Alias: "box", HostName: "127.0.0.1", Port: mute.Addr().(*net.TCPAddr).Port, ConnectTimeout: time.Hour}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var heard []string
	if _, err := p.Host(ctx, "box", target, Caller{}, func(s string) { heard = append(heard, s) }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Host = %v", err)
	}
	if !slices.Contains(heard, "connecting to box") {
		t.Errorf("progress = %q", heard)
	}
	eventually(t, "the dial is over", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.entries) == 0 })
}

func TestPoolClose(t *testing.T) {
	_, hop := testBox(t)
	p := NewPool(PoolOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	h, err := p.Host(t.Context(), "box", NewTarget([]Hop{hop}), Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
	select {
	case <-h.Done():
	default:
		t.Error("the Host outlives its pool")
	}
	if _, err := p.Host(t.Context(), "box", NewTarget([]Hop{hop}), Caller{}, nil); !errors.Is(err, ErrPoolClosed) {
		t.Errorf("Host = %v, want ErrPoolClosed", err)
	}
	h.Release()
}

// Two shells ask for one host at the same time, and only the second one's agent has the key: the first one's failure is not the second
// one's.
func TestPoolLateAgent(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	server := startSSHD(t, []ssh.PublicKey{newKey(t, "ed25519", key, "").PublicKey()})
	hop := server.hop(t)
	hop.IdentityAgent = ""
	target := NewTarget([]Hop{hop})
	p := runPool(t, PoolOptions{})

	// The first one's agent is there, says nothing, and goes.
	sock := filepath.Join(shortDir(t), "s")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first := make(chan error, 1)
	go func() {
		_, err := p.Host(t.Context(), "box", target, Caller{AuthSock: sock}, nil)
		first <- err
	}()
	silent, err := l.Accept() // the first one's dial is on its way
	if err != nil {
		t.Fatal(err)
	}
	good := startAgent(t, 0, key)
	joined := make(chan struct{})
	second := make(chan error, 1)
	var once sync.Once
	go func() {
		h, err := p.Host(t.Context(), "box", target, Caller{AuthSock: good}, func(string) { once.Do(func() { close(joined) }) })
		if err == nil {
			h.Release()
		}
		second <- err
	}()
	<-joined
	_ = silent.Close()
	if err := <-first; !errors.Is(err, ErrAuth) {
		t.Errorf("first: %v, want ErrAuth", err)
	}
	if err := <-second; err != nil {
		t.Errorf("second: %v", err)
	}
}
