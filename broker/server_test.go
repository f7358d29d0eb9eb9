package broker

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// serve runs the API of a fixture on a socket, and returns a client and what ends it.
func serve(t *testing.T, f *fixture) (*api.Client, func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.b.Serve(ctx, l, 5*time.Second) }()
	c := api.NewClient(path)
	stop := func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		ended <- nil
		c.Close()
	}
	t.Cleanup(stop)
	return c, stop
}

// Followers hear of the end of every session that they have seen, also where it is the daemon that ends, and then end themselves.
func TestFollowersHearTheEnd(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	c, stop := serve(t, f)
	s := f.open(t, api.OpenRequest{})
	watched, logged := make(chan []api.Phase, 1), make(chan string, 1)
	seen := make(chan struct{}, 100)
	go func() {
		var phases []api.Phase
		for v, err := range c.WatchSessions(t.Context(), false) {
			if err != nil {
				t.Error(err)
			}
			phases = append(phases, v.Phase)
			seen <- struct{}{}
		}
		watched <- phases
	}()
	go func() {
		var text strings.Builder
		for line, err := range c.Logs(t.Context(), s.id, true) {
			if err != nil {
				t.Error(err)
			}
			text.WriteString(line.Text + "\n")
			seen <- struct{}{}
		}
		logged <- text.String()
	}()
	<-seen // the session
	<-seen // the announcement
	p := f.host.process()
	f.host.reaped = func(string) error { p.print("last words\n"); return nil }
	began := time.Now()
	f.stop()
	stop()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("followers held the end up: %v", took)
	}
	if phases := <-watched; phases[0] != api.PhaseReady || phases[len(phases)-1] != api.PhaseClosed {
		t.Errorf("watched %q", phases)
	}
	if text := <-logged; !strings.HasSuffix(text, "last words\n") {
		t.Errorf("logged %q", text)
	}
}

// An open whose caller has gone is cancelled and cleaned up.
func TestOpenForNobody(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	f.host.silent = true
	c, _ := serve(t, f)
	ctx, leave := context.WithCancel(t.Context())
	id := ""
	_, err := c.Open(ctx, api.OpenRequest{Lang: "java"}, func(ev api.OpenEvent) {
		if ev.ID != "" {
			id = ev.ID
		}
		if strings.HasPrefix(ev.Progress, "waiting for") {
			leave()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("open: %v", err)
	}
	s, _, err := f.b.find(id)
	if err != nil {
		t.Fatal(err)
	}
	v := awaitEnd(t, s)
	if v.Phase != api.PhaseFailed || v.Error.Code != api.CodeCancelled || f.host.remaining() != 0 {
		t.Errorf("phase %s, error %+v, %d workspaces", v.Phase, v.Error, f.host.remaining())
	}
}

// The error of an open comes when all is clean again.
func TestOpenErrorComesLast(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	f.b.config.Session.OpenTimeout = 50 * time.Millisecond
	f.host.silent = true
	c, _ := serve(t, f)
	_, err := c.Open(t.Context(), api.OpenRequest{Lang: "java"}, func(api.OpenEvent) {})
	var e *api.Error
	if !errors.As(err, &e) || e.Code != api.CodeNotReady || e.Hint == "" {
		t.Errorf("error %+v", err)
	}
	if n := f.host.remaining(); n != 0 {
		t.Errorf("%d workspaces are left", n)
	}
}
