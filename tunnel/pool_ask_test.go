package tunnel

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/sshserver"
)

// chair is where one person sits: it tells of each question, and of its withdrawal.
type chair struct {
	asked     chan Prompt
	answers   chan string
	withdrawn chan struct{}
}

func newChair() *chair {
	return &chair{asked: make(chan Prompt, 8), answers: make(chan string, 8), withdrawn: make(chan struct{}, 8)}
}

func (c *chair) ask(ctx context.Context, p Prompt) (string, error) {
	c.asked <- p
	select {
	case a := <-c.answers:
		return a, nil
	case <-ctx.Done():
		c.withdrawn <- struct{}{}
		return "", ctx.Err()
	}
}

func expect[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

// TestPoolAsksTheNewest: of those who wait for a dial, the newest that has somebody to ask is asked; when it leaves, the next one.
func TestPoolAsksTheNewest(t *testing.T) {
	var mu sync.Mutex
	var given []string
	hop := serveSSH(t, sshserver.Config{Password: func(p string) bool {
		mu.Lock()
		defer mu.Unlock()
		given = append(given, p)
		return p == "pw"
	}})
	target := NewTarget([]Hop{hop})
	p := runPool(t, PoolOptions{})
	type result struct {
		host Host
		err  error
	}
	come := func(ctx context.Context, caller Caller) chan result {
		ended := make(chan result, 1)
		go func() {
			host, err := p.Host(ctx, "box", target, caller, nil)
			ended <- result{host, err}
		}()
		return ended
	}
	first, second := newChair(), newChair()
	one := come(t.Context(), Caller{Ask: first.ask})
	expect(t, first.asked, "question to the first")
	silent := come(t.Context(), Caller{}) // has nobody to ask, and waits all the same
	ctx, leave := context.WithCancel(t.Context())
	two := come(ctx, Caller{Ask: second.ask})
	expect(t, first.withdrawn, "withdrawal")
	expect(t, second.asked, "question to the second")
	if s, _ := p.Status(target.Key()); s.State != LinkConnecting {
		t.Errorf("Status = %+v", s)
	}
	leave()
	if r := expect(t, two, "end of the second"); !errors.Is(r.err, context.Canceled) {
		t.Errorf("the second: %v", r.err)
	}
	expect(t, second.withdrawn, "withdrawal")
	expect(t, first.asked, "question to the first again")
	first.answers <- "pw"
	for _, ended := range []chan result{one, silent} {
		r := expect(t, ended, "host")
		if r.err != nil {
			t.Fatal(r.err)
		}
		r.host.Release()
	}
	mu.Lock()
	defer mu.Unlock()
	if s, _ := p.Status(target.Key()); len(given) != 1 || s.State != LinkUp || s.Auth != "password" || s.User != "me" {
		t.Errorf("passwords %q; Status = %+v", given, s)
	}
}

// TestPoolNeedsAuth: a host that wants a person stays so until a dial succeeds, and no password is kept for the next one.
func TestPoolNeedsAuth(t *testing.T) {
	hop := serveSSH(t, sshserver.Config{Password: func(p string) bool { return p == "pw" }})
	target := NewTarget([]Hop{hop})
	p := runPool(t, PoolOptions{Linger: time.Millisecond})
	state := func(want string) {
		t.Helper()
		if s, ok := p.Status(target.Key()); !ok || s.State != want || (want == LinkNeedsAuth) != errors.Is(s.Err, ErrNeedsAuth) {
			t.Errorf("Status = %+v, %v, want %s", s, ok, want)
		}
	}
	_, err := p.Host(t.Context(), "box", target, Caller{}, nil)
	needsAuth(t, err, "asks for a password")
	state(LinkNeedsAuth)
	wrong := &person{answers: []string{"a", "b", "c"}}
	_, err = p.Host(t.Context(), "box", target, Caller{Ask: wrong.ask}, nil)
	needsAuth(t, err, "does not take what was answered")
	state(LinkNeedsAuth)
	if n := len(wrong.asked()); n != 3 {
		t.Errorf("%d questions", n)
	}
	right := &person{answers: []string{"pw"}}
	host, err := p.Host(t.Context(), "box", target, Caller{Ask: right.ask}, nil)
	if err != nil {
		t.Fatal(err)
	}
	state(LinkUp)
	host.Release()
	expect(t, host.Done(), "end of the link")
	_, err = p.Host(t.Context(), "box", target, Caller{}, nil)
	needsAuth(t, err, "asks for a password")
	state(LinkNeedsAuth)
}
