package broker

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs"
	"github.com/debugbroker/debugbroker/store"
	"github.com/debugbroker/debugbroker/tunnel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeAdapter plans a JDWP server, the protocol with the least to say.
type fakeAdapter struct {
	failures []adapters.Failure
	change   func(adapters.Request, *adapters.Plan) // may be nil
	check    func(adapters.Request) error           // may be nil
}

func (fakeAdapter) Name() string                { return "java" }
func (fakeAdapter) Aliases() []string           { return []string{"jvm"} }
func (fakeAdapter) Protocol() adapters.Protocol { return adapters.JDWP }
func (a fakeAdapter) Check(r adapters.Request) error {
	if a.check == nil {
		return nil
	}
	return a.check(r)
}
func (fakeAdapter) Recognise(r adapters.Running) (adapters.Found, bool) {
	return adapters.Found{}, len(r.Argv) > 0 && r.Argv[0] == "java"
}
func (fakeAdapter) Probe(adapters.Request) []adapters.Command { return nil }
func (a fakeAdapter) Plan(r adapters.Request) (adapters.Plan, error) {
	plan := adapters.Plan{
		Server: "fake 1", Argv: []string{"/bin/fake"}, Cwd: "/srv", Network: "tcp", Protocol: adapters.JDWP, OneClient: true,
		Ready:    adapters.Ready{Line: regexp.MustCompile(`listening at (?P<addr>\S+)`), Timeout: 2 * time.Second, Settle: 50 * time.Millisecond},
		Failures: a.failures,
	}
	if a.change != nil {
		a.change(r, &plan)
	}
	return plan, nil
}

type fixture struct {
	b     *Broker
	host  *fakeHost
	store *store.Store
	stop  func() // ends Run
}

func newFixture(t *testing.T, a adapters.Adapter) *fixture {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	host := newFakeHost(server.Addr().String())
	host.server = server
	return newFixtureAt(t, a, host, filepath.Join(t.TempDir(), "broker.db"))
}

func newFixtureAt(t *testing.T, a adapters.Adapter, host *fakeHost, db string) *fixture {
	t.Helper()
	st, err := store.Open(t.Context(), db, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	hosts := NewHosts(nil, nil, host.connect)
	cfg := configs.Default()
	b := New(Options{Config: cfg, Store: st, Hosts: hosts, Adapters: []adapters.Adapter{a}, Log: hclog.NewNullLogger()})
	if err := b.Recover(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	f := &fixture{b: b, host: host, store: st}
	f.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		f.stop = func() {}
	}
	t.Cleanup(func() {
		f.stop()
		st.Close()
	})
	return f
}

func (f *fixture) open(t *testing.T, req api.OpenRequest) *session {
	t.Helper()
	req.Lang = "java"
	s, err := f.b.Open(req)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.opened:
	case <-time.After(10 * time.Second):
		t.Fatalf("session neither opened nor failed: %+v", s.snapshot())
	}
	return s
}

func awaitEnd(t *testing.T, s *session) api.Session {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(10 * time.Second):
		t.Fatalf("session did not end: %+v", s.snapshot())
	}
	return s.snapshot()
}

func TestOpenAndClose(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	s := f.open(t, api.OpenRequest{Program: []string{"App"}, Reason: "why"})
	v := s.snapshot()
	if v.Phase != api.PhaseReady || v.Server != "fake 1" || v.PID == nil || *v.PID != 4242 || v.Reason != "why" || v.Cwd != "/srv" {
		t.Fatalf("session after open: %+v", v)
	}
	if !slices.Contains(v.Warnings, "Compression is not honoured yet") {
		t.Errorf("warnings of the host are missing: %q", v.Warnings)
	}
	if entries, _ := f.store.Entries(); len(entries) != 1 {
		t.Errorf("ledger while the session lives: %v", entries)
	}
	closed, err := f.b.Close(t.Context(), s.id)
	if err != nil || closed.Error != nil || len(closed.Left) != 0 {
		t.Fatalf("close: %+v, %v", closed, err)
	}
	v = s.snapshot()
	if v.Phase != api.PhaseClosed || v.Ended == nil || f.host.remaining() != 0 {
		t.Errorf("after close: %+v, %d workspaces", v, f.host.remaining())
	}
	if entries, _ := f.store.Entries(); len(entries) != 0 {
		t.Errorf("ledger after the clean-up: %v", entries)
	}
	if c, err := net.Dial("tcp", v.Local); err == nil {
		c.Close()
		t.Error("the local port still listens")
	}
	if again, err := f.b.Close(t.Context(), s.id); err != nil || again.Error != nil {
		t.Errorf("second close: %+v, %v", again, err)
	}
}

func TestSamePortNextTime(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	first := f.open(t, api.OpenRequest{})
	local := first.snapshot().Local
	if _, err := f.b.Close(t.Context(), first.id); err != nil {
		t.Fatal(err)
	}
	if second := f.open(t, api.OpenRequest{}); second.snapshot().Local != local {
		t.Errorf("local port: first %s, then %s", local, second.snapshot().Local)
	}
}

func TestProgramEnds(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	s := f.open(t, api.OpenRequest{})
	f.host.process().end(tunnel.Exit{Code: 3}, nil)
	v := awaitEnd(t, s)
	if v.Phase != api.PhaseClosed || v.Exit == nil || v.Exit.Code == nil || *v.Exit.Code != 3 {
		t.Errorf("after the program's end: phase %s, exit %+v", v.Phase, v.Exit)
	}
}

func TestEndsBeforeReady(t *testing.T) {
	retry := adapters.Failure{Match: regexp.MustCompile(`(?m)^busy: (.*)$`), Code: adapters.Died, Message: "bind: $1", Hint: "wait", Retry: true}
	f := newFixture(t, fakeAdapter{failures: []adapters.Failure{retry}})
	f.host.silent = true
	s, err := f.b.Open(api.OpenRequest{Lang: "jvm"})
	if err != nil {
		t.Fatal(err)
	}
	// Each attempt dies of the same; the broker tries a few times, then says why.
	for range maxAttempts {
		p := awaitProcess(t, f.host, s)
		p.print("busy: port taken\n")
		p.end(tunnel.Exit{Code: 2}, nil)
		<-p.ended
	}
	v := awaitEnd(t, s)
	if v.Phase != api.PhaseFailed || v.Error == nil || v.Error.Message != "bind: port taken" || v.Error.Hint != "wait" {
		t.Fatalf("error: %+v", v.Error)
	}
	if !strings.Contains(v.Error.Output, "busy: port taken") {
		t.Errorf("the output is not shown: %q", v.Error.Output)
	}
	if f.host.remaining() != 0 {
		t.Error("a workspace is left")
	}
}

// What an earlier attempt printed says nothing of a later one's end.
func TestAttemptsAreJudgedApart(t *testing.T) {
	again := adapters.Failure{Match: regexp.MustCompile(`busy`), Code: adapters.Internal, Message: "the port is busy", Retry: true}
	other := adapters.Failure{Match: regexp.MustCompile(`no class`), Code: adapters.NotFound, Message: "there is no such class"}
	f := newFixture(t, fakeAdapter{failures: []adapters.Failure{again, other}})
	f.host.silent = true
	s, err := f.b.Open(api.OpenRequest{Lang: "java"})
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"busy", "no class"} {
		p := awaitProcess(t, f.host, s)
		p.print(words + "\n")
		p.end(tunnel.Exit{Code: 1}, nil)
	}
	v := awaitEnd(t, s)
	if v.Error == nil || v.Error.Code != api.CodeNotFound || strings.Contains(v.Error.Output, "busy") {
		t.Errorf("error %+v", v.Error)
	}
}

// Nothing is made on a host before the ledger has it on disk.
func TestNothingWithoutTheLedger(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	f.store.Close()
	s := f.open(t, api.OpenRequest{})
	v := awaitEnd(t, s)
	if v.Phase != api.PhaseFailed || v.Error == nil || v.Error.Code != api.CodeInternal || len(v.Left) != 0 {
		t.Errorf("phase %s, error %+v, left %q", v.Phase, v.Error, v.Left)
	}
	for _, call := range f.host.calls {
		if strings.HasPrefix(call, "make") {
			t.Errorf("the host saw %q", f.host.calls)
		}
	}
}

func awaitProcess(t *testing.T, h *fakeHost, s *session) *fakeProcess {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		seen := s.tracker.Version()
		if p := h.process(); p != nil {
			select {
			case <-p.ended:
			default:
				return p
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		s.tracker.Wait(ctx, seen)
		cancel()
	}
	t.Fatal("no process was started")
	return nil
}

func TestNeverReady(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	f.b.config.Session.OpenTimeout = 100 * time.Millisecond
	f.host.silent = true
	s := f.open(t, api.OpenRequest{})
	v := awaitEnd(t, s)
	if v.Error == nil || v.Error.Code != api.CodeNotReady || f.host.remaining() != 0 {
		t.Errorf("error %+v, %d workspaces", v.Error, f.host.remaining())
	}
}

func TestCancelWhileOpening(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	f.host.silent = true
	s, err := f.b.Open(api.OpenRequest{Lang: "java"})
	if err != nil {
		t.Fatal(err)
	}
	awaitProcess(t, f.host, s)
	s.cancel(errCancelled)
	v := awaitEnd(t, s)
	if v.Phase != api.PhaseFailed || v.Error.Code != api.CodeCancelled || f.host.remaining() != 0 {
		t.Errorf("phase %s, error %+v, %d workspaces", v.Phase, v.Error, f.host.remaining())
	}
}

func TestExpiry(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	s := f.open(t, api.OpenRequest{TTL: 1500 * time.Millisecond})
	v := awaitEnd(t, s)
	if v.Phase != api.PhaseExpired || f.host.remaining() != 0 {
		t.Errorf("phase %s, %d workspaces", v.Phase, f.host.remaining())
	}
}

func TestLinkLost(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	s := f.open(t, api.OpenRequest{})
	f.host.lose()
	v := awaitEnd(t, s)
	if v.Phase != api.PhaseFailed || v.Error == nil || v.Error.Code != api.CodeLinkLost || len(v.Left) != 1 {
		t.Errorf("phase %s, error %+v, left %q", v.Phase, v.Error, v.Left)
	}
	if pending, err := f.b.ledger.pending(s.id); err != nil || len(pending) == 0 {
		t.Errorf("the ledger forgot what is on the host: %v, %v", pending, err)
	}
}

func TestLeftIsNamed(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	s := f.open(t, api.OpenRequest{})
	f.host.mu.Lock()
	f.host.reapLeft = []string{"process 7 (stubborn)"}
	f.host.mu.Unlock()
	closed, err := f.b.Close(t.Context(), s.id)
	if err != nil || closed.Error == nil || closed.Error.Code != api.CodeCleanUp || !slices.Contains(closed.Left, "process 7 (stubborn)") {
		t.Errorf("close: %+v, %v", closed, err)
	}
}

func TestRecoverAfterCrash(t *testing.T) {
	host := newFakeHost("127.0.0.1:1")
	db := filepath.Join(t.TempDir(), "broker.db")
	st, err := store.Open(t.Context(), db, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	view := []byte(`{"id":"abc234","host":"","lang":"java","phase":"attached","created":"2026-01-02T03:04:05Z"}`)
	errs := errors.Join(
		st.PutSession(store.Session{ID: "abc234", Lang: "java", Phase: "attached", Created: time.Now(), View: view}),
		st.PutEntry(store.Entry{ID: "e1", Session: "abc234", Workspace: "/tmp/dbk-left", Created: time.Now()}),
		st.Close())
	if errs != nil {
		t.Fatal(errs)
	}
	host.workspaces["/tmp/dbk-left"] = nil
	f := newFixtureAt(t, fakeAdapter{}, host, db)
	deadline := time.Now().Add(10 * time.Second)
	for host.remaining() > 0 && time.Now().Before(deadline) {
		seen := f.b.events.tracker.Version()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		f.b.events.tracker.Wait(ctx, seen)
		cancel()
	}
	if host.remaining() != 0 {
		t.Fatal("the janitor did not clean up what the crashed daemon left")
	}
	list, err := f.b.Sessions(true)
	if err != nil || len(list) != 1 || list[0].Phase != api.PhaseFailed || list[0].Error == nil {
		t.Errorf("sessions after the crash: %+v, %v", list, err)
	}
}

func TestBusyLocalPort(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	s := f.open(t, api.OpenRequest{LocalPort: port})
	v := awaitEnd(t, s)
	if v.Error == nil || v.Error.Code != api.CodePortBusy || len(f.host.calls) != 0 {
		t.Errorf("error %+v, host saw %q", v.Error, f.host.calls)
	}
}
