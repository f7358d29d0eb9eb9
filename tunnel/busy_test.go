package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sshd that takes one login at a time gets five, for links that have nothing to do with each other.
func TestBusyServer(t *testing.T) {
	t.Parallel()
	server, hop := testBox(t, "MaxStartups 1:100:1")
	p := runPool(t, PoolOptions{})
	// One that has connected and says nothing keeps all others out.
	silent, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if _, err := silent.Read(make([]byte, 1)); err != nil { // sshd counts it
		t.Fatal(err)
	}
	const hosts = 5
	told := make(chan string, 100)
	var wg sync.WaitGroup
	for i := range hosts {
		hop := hop
		hop.ServerAliveCountMax = 3 + i // another link each
		wg.Go(func() {
			h, err := p.Host(t.Context(), "box", NewTarget([]Hop{hop}), Caller{}, func(line string) {
				if strings.HasPrefix(line, "waiting for the server") {
					told <- line
				}
			})
			if err != nil {
				t.Errorf("host %d: %v", i, err)
				return
			}
			h.Release()
		})
	}
	if line := <-told; !strings.Contains(line, "MaxStartups") {
		t.Errorf("it says %q", line)
	}
	_ = silent.Close()
	wg.Wait()
	logins := func() int { return strings.Count(server.Log(), "Accepted publickey") }
	eventually(t, "sshd has logged all logins", func() bool { return logins() >= hosts }) // we may read behind
	if n := logins(); n != hosts {
		t.Errorf("%d logins, want %d", n, hosts)
	}
}

func TestBusyHasABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		busy := func(context.Context) (*Conn, error) {
			dials++
			time.Sleep(100 * time.Millisecond)
			return nil, fmt.Errorf("dial: %w", ErrBusy)
		}
		began := time.Now()
		if _, err := dialPatiently(t.Context(), busy, func(string) {}); !errors.Is(err, ErrBusy) {
			t.Errorf("err = %v", err)
		}
		if took := time.Since(began); took > busyTime+time.Second || took < busyTime-longestBusyPause-time.Second {
			t.Errorf("it took %s", took)
		}
		if dials < 5 || dials > 100 {
			t.Errorf("%d dials", dials)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := dialPatiently(ctx, busy, func(string) {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		dials = 0
		if _, err := dialPatiently(t.Context(), func(context.Context) (*Conn, error) { dials++; return nil, ErrAuth }, func(string) {}); !errors.Is(err, ErrAuth) || dials != 1 {
			t.Errorf("err = %v after %d dials", err, dials)
		}
	})
}
