package tunnel

import (
	"context"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/netns"
)

// The kernel's own news, in a network of the test's own.
func TestWakesNetlink(t *testing.T) {
	space := netns.New(t, "wakes")
	ip := func(args ...string) { t.Helper(); space.IP(args...) }
	ip("link", "set", "lo", "down")
	probes := make(chan string, 10)
	w := NewWakes(NewPool(PoolOptions{}), nil)
	w.probe = func(reason string) { probes <- reason }
	looked := make(chan struct{}, 100)
	inner := w.network
	w.network = func() string { defer func() { looked <- struct{}{} }(); return inner() }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- space.Do(func() error { return w.Run(ctx) }) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	}()
	wait := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(30 * time.Second):
			t.Fatalf("never: %s", what)
		}
	}
	wantProbe := func(what string) {
		t.Helper()
		select {
		case reason := <-probes:
			if reason != "a change of the network" {
				t.Errorf("%s: %q", what, reason)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: nothing is heard of it", what)
		}
		for len(looked) > 0 {
			<-looked
		}
	}
	wait("the first look", looked)
	ip("link", "set", "lo", "up") // the addresses that it gets are loopback
	wait("a look at the loopback interface", looked)
	ip("addr", "add", "192.0.2.1/24", "dev", "lo")
	wantProbe("the first address")
	ip("addr", "add", "192.0.2.9/24", "dev", "lo")
	wantProbe("another address")
	ip("route", "add", "default", "via", "192.0.2.2", "dev", "lo")
	wantProbe("a default route")
	ip("route", "add", "198.51.100.0/24", "via", "192.0.2.2", "dev", "lo") // as containers have them
	wait("a look at another route", looked)
	ip("route", "replace", "default", "via", "192.0.2.3", "dev", "lo")
	wantProbe("another gateway")
	ip("addr", "del", "192.0.2.9/24", "dev", "lo")
	wantProbe("an address less")
	ip("addr", "flush", "dev", "lo") // no network at all
	wait("a look at no network", looked)
	ip("addr", "add", "192.0.2.1/24", "dev", "lo")
	wantProbe("the network's return")
	select {
	case reason := <-probes:
		t.Errorf("one probe too many: %q", reason)
	default:
	}
}
