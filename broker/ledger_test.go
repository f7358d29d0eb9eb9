package broker

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/store"
	"github.com/debugbroker/debugbroker/tunnel"
	"github.com/debugbroker/debugbroker/tunnel/sshconfig"
)

// newTestLedger has an entry e0, e1, … for each workspace.
func newTestLedger(t *testing.T, host *fakeHost, workspaces ...string) *ledger {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "broker.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	for i, w := range workspaces {
		host.workspaces[w] = nil
		if err := st.PutEntry(store.Entry{ID: fmt.Sprintf("e%d", i), Session: fmt.Sprintf("s%d", i), Workspace: w, Created: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	return newLedger(st, NewHosts(nil, nil, host.connect), &events{}, func(string, []string) {}, hclog.NewNullLogger())
}

// One workspace that cannot be cleaned up does not keep the others from it.
func TestReplayGoesOn(t *testing.T) {
	host := newFakeHost("")
	host.reaped = func(workspace string) error {
		if workspace == "/tmp/b" {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	l := newTestLedger(t, host, "/tmp/a", "/tmp/b", "/tmp/c")
	if err := l.visit(t.Context(), ""); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("visit = %v", err)
	}
	if left, err := l.store.Entries(); err != nil || len(left) != 1 || left[0].Workspace != "/tmp/b" {
		t.Errorf("entries %v, %v", left, err)
	}
}

// Who asks for a clean-up that is under way learns how it ends.
func TestVisitWaitsForAnother(t *testing.T) {
	host := newFakeHost("")
	reaping, goOn := make(chan struct{}), make(chan struct{})
	host.reaped = func(string) error {
		close(reaping) // twice would panic: one reaps
		<-goOn
		return nil
	}
	l := newTestLedger(t, host, "/tmp/a")
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- l.visit(t.Context(), "") }()
	<-reaping
	go func() { second <- l.visit(t.Context(), "") }()
	select {
	case err := <-second:
		t.Errorf("the second did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
	if left, err := l.pending("s0"); err != nil || len(left) != 0 {
		t.Errorf("left %q, %v", left, err)
	}
}

// A session's own entry is nobody else's, until it gives it up.
func TestActiveEntriesAreNotReplayed(t *testing.T) {
	host := newFakeHost("")
	l := newTestLedger(t, host)
	e := store.Entry{ID: "e", Session: "s", Workspace: "/tmp/a", Created: time.Now()}
	host.workspaces["/tmp/a"] = nil
	if err := l.enter(e); err != nil {
		t.Fatal(err)
	}
	if err := l.visit(t.Context(), ""); err != nil || host.remaining() != 1 {
		t.Fatalf("visit = %v, %d workspaces", err, host.remaining())
	}
	l.abandon(e)
	if err := l.visit(t.Context(), ""); err != nil || host.remaining() != 0 {
		t.Fatalf("visit = %v, %d workspaces", err, host.remaining())
	}
}

func TestJanitorDoesNotKnockForEver(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{fmt.Errorf("dial: %w", tunnel.ErrUnreachable), false},
		{fmt.Errorf("dial: %w", tunnel.ErrHostUnresolvable), false}, // a VPN that is down
		{fmt.Errorf("dial: %w", tunnel.ErrAuth), true},
		{fmt.Errorf("dial: %w", tunnel.ErrHostKey), true},
		{fmt.Errorf("resolve: %w", sshconfig.ErrBadName), true},
	} {
		if got := needsUser(c.err); got != c.want {
			t.Errorf("needsUser(%v) = %v", c.err, got)
		}
	}
	tries := map[string]*attempt{}
	host := newFakeHost("")
	knocks := 0
	host.reaped = func(string) error { knocks++; return tunnel.ErrAuth }
	l := newTestLedger(t, host, "/tmp/a")
	for range 3 {
		l.sweep(t.Context(), tries)
		tries[""].next = time.Now()
	}
	if knocks != 1 {
		t.Errorf("%d tries, want 1", knocks)
	}
	l.abandon(store.Entry{ID: "new"}) // something else is left there
	if l.sweep(t.Context(), tries); knocks != 2 {
		t.Errorf("%d tries after something new, want 2", knocks)
	}
}

// Once the host is back and clean, nothing is shown as left on it, and closing is no error.
func TestCleanedUpLater(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	s := f.open(t, api.OpenRequest{})
	f.host.lose()
	if v := awaitEnd(t, s); len(v.Left) != 1 {
		t.Fatalf("left %q", v.Left)
	}
	closed, err := f.b.Close(t.Context(), s.id)
	if err != nil || closed.Error == nil || closed.Error.Code != api.CodeLinkLost || len(closed.Left) != 1 {
		t.Errorf("close while it is out of reach: %+v, %v", closed, err)
	}
	back := newFakeHost("")
	for w := range f.host.workspaces {
		back.workspaces[w] = nil
	}
	f.host.mu.Lock()
	f.host.successor = back
	f.host.mu.Unlock()
	closed, err = f.b.Close(t.Context(), s.id)
	if err != nil || closed.Error != nil || len(closed.Left) != 0 || back.remaining() != 0 {
		t.Errorf("close when it is back: %+v, %v", closed, err)
	}
	if v := s.snapshot(); len(v.Left) != 0 {
		t.Errorf("still shown as left: %q", v.Left)
	}
	rec, err := f.store.Session(s.id)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := decodeView(rec); err != nil || len(v.Left) != 0 || v.Phase != api.PhaseFailed {
		t.Errorf("on record: %+v, %v", v, err)
	}
}

// What a request brought counts for it, whoever came since.
func TestCallersAreKeptApart(t *testing.T) {
	h := NewHosts(nil, nil, nil)
	a, b := api.Caller{SSHAuthSock: "/a", Path: "/bin"}, api.Caller{SSHAuthSock: "/b", Display: ":1"}
	h.Remember(a)
	h.Remember(b)
	if got, want := over(a, h.caller), (api.Caller{SSHAuthSock: "/a", Path: "/bin", Display: ":1"}); got != want {
		t.Errorf("a's: %+v", got)
	}
	if got, want := over(api.Caller{}, h.caller), (api.Caller{SSHAuthSock: "/b", Path: "/bin", Display: ":1"}); got != want {
		t.Errorf("nobody's: %+v", got)
	}
}
