package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs"
	"github.com/debugbroker/debugbroker/integration/cutter"
	"github.com/debugbroker/debugbroker/integration/sshserver"
	"github.com/debugbroker/debugbroker/store"
	"github.com/debugbroker/debugbroker/tunnel"
	"github.com/debugbroker/debugbroker/tunnel/sshconfig"
)

// passwordHost is a broker whose ssh configuration has one host, "pw", which takes the password "swordfish".
func passwordHost(t *testing.T) (*fixture, *cutter.Proxy) {
	t.Helper()
	server, err := sshserver.Listen(sshserver.Config{Password: func(p string) bool { return p == "swordfish" }})
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "broker.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	front := cutter.New(t, server.Addr().String())
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	known := write("known", knownhosts.Line([]string{fmt.Sprintf("[127.0.0.1]:%d", front.Port())}, server.HostKey())+"\n")
	config := write("config", fmt.Sprintf("Host pw\n HostName 127.0.0.1\n Port %d\n User deploy\n IdentityFile none\n IdentityAgent none\n UserKnownHostsFile %s\n", front.Port(), known))
	pool := tunnel.NewPool(tunnel.PoolOptions{})
	hosts := NewHosts(sshconfig.NewResolver(sshconfig.Options{File: config}), pool, nil)
	b := New(Options{Config: configs.Default(), Store: st, Hosts: hosts, Log: hclog.NewNullLogger()})
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	for _, run := range []func(context.Context) error{server.Serve, pool.Run} {
		parts.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		parts.Wait()
		st.Close()
	})
	return &fixture{b: b, store: st}, front
}

// TestAuthAsks: a question has one answer; when somebody newer can be asked, it is taken back, and answers to it are too late.
func TestAuthAsks(t *testing.T) {
	f, _ := passwordHost(t)
	c, _ := serve(t, f)
	type heard struct {
		prompt    *api.Prompt
		withdrawn string
	}
	type result struct {
		api.AuthResult
		err error
	}
	auth := func(ctx context.Context) (<-chan heard, <-chan result) {
		events, ended := make(chan heard, 8), make(chan result, 1)
		go func() {
			r, err := c.Auth(ctx, api.AuthRequest{Host: "pw", CanPrompt: true}, func(ev api.AuthEvent) {
				if ev.Prompt != nil || ev.Withdrawn != "" {
					events <- heard{ev.Prompt, ev.Withdrawn}
				}
			})
			ended <- result{r, err}
		}()
		return events, ended
	}
	tooLate := func(id string) {
		t.Helper()
		var e *api.Error
		if err := c.Answer(t.Context(), id, "swordfish"); !errors.As(err, &e) || e.Code != api.CodeEnded {
			t.Errorf("Answer = %v, want code ended", err)
		}
	}
	tooLate("nosuchprompt")
	oneEvents, oneEnded := auth(t.Context())
	one := await(t, oneEvents).prompt
	if one == nil || one.Kind != "password" || one.Host != "pw" || one.Echo || len(one.ID) < 22 {
		t.Fatalf("asked %+v", one)
	}
	ctx, leave := context.WithCancel(t.Context())
	twoEvents, twoEnded := auth(ctx)
	two := await(t, twoEvents).prompt
	if w := await(t, oneEvents); w.withdrawn != one.ID || two == nil || two.ID == one.ID {
		t.Errorf("withdrawn %+v, asked %+v", w, two)
	}
	tooLate(one.ID)
	leave()
	if r := await(t, twoEnded); r.err == nil {
		t.Errorf("who left has %+v", r)
	}
	again := await(t, oneEvents).prompt
	tooLate(two.ID)
	if err := c.Answer(t.Context(), again.ID, "wrong"); err != nil {
		t.Error(err)
	}
	tooLate(again.ID)
	last := await(t, oneEvents).prompt
	if err := c.Answer(t.Context(), last.ID, "swordfish"); err != nil {
		t.Error(err)
	}
	if r := await(t, oneEnded); r.err != nil || r.By != "password" || r.User != "deploy" || r.Already || r.Link == nil || r.Link.State != "up" {
		t.Errorf("ended with %+v, %v", r.AuthResult, r.err)
	}
	f.b.prompts.mu.Lock()
	defer f.b.prompts.mu.Unlock()
	if n := len(f.b.prompts.open); n != 0 {
		t.Errorf("%d questions are kept", n)
	}
}

// TestJanitorLeavesHostsThatNeedAuth: it dials such a host once, and again when a person has come.
func TestJanitorLeavesHostsThatNeedAuth(t *testing.T) {
	f, front := passwordHost(t)
	if err := f.store.PutEntry(store.Entry{ID: "e1", Host: "pw", Session: "s1", Workspace: "/tmp/nosuch/dbk-0123456789abcdef"}); err != nil {
		t.Fatal(err)
	}
	tries := make(map[string]*attempt)
	f.b.ledger.sweep(t.Context(), tries)
	if !f.b.hosts.NeedsAuth("pw") || front.Accepted() != 1 {
		t.Fatalf("needs auth: %v, after %d connections", f.b.hosts.NeedsAuth("pw"), front.Accepted())
	}
	f.b.ledger.sweep(t.Context(), tries)
	f.b.ledger.sweep(t.Context(), make(map[string]*attempt)) // whatever it remembers itself
	if n := front.Accepted(); n != 1 {
		t.Errorf("%d connections to a host that needs a person", n)
	}
	batch, _ := f.b.events.since(0)
	if len(batch) != 1 || batch[0].Kind != "needs-auth" {
		t.Errorf("events %+v", batch)
	}
	ask := func(context.Context, tunnel.Prompt) (string, error) { return "swordfish", nil }
	if _, err := f.b.Authenticate(t.Context(), api.AuthRequest{Host: "pw"}, ask, func(string) {}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-f.b.ledger.wake:
	case <-time.After(10 * time.Second):
		t.Error("the janitor was not woken")
	}
	f.b.ledger.sweep(t.Context(), tries)
	if tries["pw"] == nil || front.Accepted() != 2 {
		t.Errorf("the janitor did not look again: %+v, %d connections", tries["pw"], front.Accepted())
	}
}

// TestPatient: the time that a person takes does not count.
func TestPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 45 * time.Second
		began := time.Now()
		ctx, ask, cancel := patient(t.Context(), limit, func(context.Context, tunnel.Prompt) (string, error) {
			time.Sleep(time.Minute)
			return "yes", nil
		})
		defer cancel()
		time.Sleep(40 * time.Second)
		if answer, err := ask(ctx, tunnel.Prompt{}); answer != "yes" || err != nil || ctx.Err() != nil {
			t.Errorf("%q, %v, %v", answer, err, ctx.Err())
		}
		<-ctx.Done()
		if at := time.Since(began); at != 40*time.Second+time.Minute+limit {
			t.Errorf("over after %s", at)
		}
		if err := late(ctx, fmt.Errorf("dial: %w", ctx.Err())); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("late = %v", err)
		}
		if err := late(t.Context(), context.Canceled); !errors.Is(err, context.Canceled) {
			t.Errorf("late = %v", err)
		}
	})
}

func await[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}
