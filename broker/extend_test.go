package broker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

func TestExtend(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	c, _ := serve(t, f)
	s := f.open(t, api.OpenRequest{TTL: time.Hour})
	changes := make(chan api.Session, 10)
	go func() {
		for v, err := range c.WatchSessions(t.Context(), false) {
			if err != nil {
				return
			}
			changes <- v
		}
	}()
	was := (<-changes).Expires
	began := time.Now()
	v, err := c.Extend(t.Context(), s.id, 2*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if left := v.Expires.Sub(began); left < 2*time.Hour-time.Second || left > 2*time.Hour+10*time.Second || !v.Expires.After(was) {
		t.Errorf("expires %v from now, was %v", left, was)
	}
	if seen := <-changes; !seen.Expires.Equal(v.Expires) {
		t.Errorf("a watcher sees %v, want %v", seen.Expires, v.Expires)
	}
	if rec, err := f.store.Session(s.id); err != nil || !rec.Expires.Equal(v.Expires) {
		t.Errorf("the record says %v (%v), want %v", rec.Expires, err, v.Expires)
	}
	events, _ := f.b.events.since(0)
	if !slices.ContainsFunc(events, func(e api.Event) bool {
		return e.Session == s.id && e.Kind == "extended" && strings.HasPrefix(e.Text, "by 2h0m0s, until ")
	}) {
		t.Errorf("no event tells of it: %v", events)
	}
	if _, err := c.Extend(t.Context(), s.id, 30*24*time.Hour); err != nil {
		t.Errorf("the longest time: %v", err)
	}
}

func TestExtendRefuses(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	c, _ := serve(t, f)
	s := f.open(t, api.OpenRequest{TTL: 2 * time.Hour})
	before := s.snapshot().Expires
	for _, bad := range []struct {
		id   string
		ttl  time.Duration
		code api.Code
		says string
	}{
		{s.id, time.Hour, api.CodeUsage, "left: 1h0m0s would shorten it"},
		{s.id, 0, api.CodeUsage, "time limit 0s is not between 1s and 720h"},
		{s.id, -time.Hour, api.CodeUsage, "time limit -1h0m0s is not"},
		{s.id, 721 * time.Hour, api.CodeUsage, "time limit 721h0m0s is not"},
		{s.id, 1<<63 - 1, api.CodeUsage, "is not between"},
		{"nope", time.Hour, api.CodeUnknownSession, `no session "nope"`},
	} {
		_, err := c.Extend(t.Context(), bad.id, bad.ttl)
		var e *api.Error
		if !errors.As(err, &e) || e.Code != bad.code || !strings.Contains(e.Message, bad.says) || e.Hint == "" {
			t.Errorf("extend %s by %v: %+v, want %s: %s", bad.id, bad.ttl, err, bad.code, bad.says)
		}
	}
	if _, err := c.Extend(t.Context(), s.id, time.Hour); !strings.Contains(err.Error(), "has 1h59m") {
		t.Errorf("what is left is not told: %v", err)
	}
	if now := s.snapshot().Expires; !now.Equal(before) {
		t.Errorf("what was refused moved the end from %v to %v", before, now)
	}
	if _, err := f.b.Close(t.Context(), s.id); err != nil {
		t.Fatal(err)
	}
	_, err := c.Extend(t.Context(), s.id, 3*time.Hour)
	var e *api.Error
	if !errors.As(err, &e) || e.Code != api.CodeEnded || !strings.Contains(e.Message, "is closed since ") {
		t.Errorf("extend what has ended: %v", err)
	}
}

// An extension and the end of a session that come together: whichever is first, nobody waits for long, and what was promised holds.
func TestExtendAndEndRace(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	for range 30 {
		s := f.open(t, api.OpenRequest{})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				began := time.Now()
				_, err := f.b.Extend(t.Context(), s.id, 10*time.Hour)
				var e *api.Error
				if err != nil && (!errors.As(err, &e) || e.Code != api.CodeEnded) {
					t.Errorf("extend: %v", err)
				}
				if took := time.Since(began); took > extendWait/2 {
					t.Errorf("extend took %v", took)
				}
			})
		}
		all.Go(func() { s.cancel(errClosed) })
		all.Wait()
		awaitEnd(t, s)
	}
}

// A session that was extended in time lives on past its old end, and ends at its new one: an answer without an error is a promise.
func TestExtendAtTheLastMoment(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	var kept, ended atomic.Int32
	var all sync.WaitGroup
	for i := range 12 {
		s := f.open(t, api.OpenRequest{TTL: time.Second})
		all.Go(func() {
			time.Sleep(time.Until(s.snapshot().Expires) + time.Duration(i-6)*2*time.Millisecond)
			_, err := f.b.Extend(t.Context(), s.id, time.Hour)
			if err != nil {
				ended.Add(1)
				if v := awaitEnd(t, s); v.Phase != api.PhaseExpired {
					t.Errorf("not extended (%v), and ended as %s", err, v.Phase)
				}
				return
			}
			kept.Add(1)
			select {
			case <-s.done:
				t.Errorf("extended, and ended as %s", s.snapshot().Phase)
			case <-time.After(100 * time.Millisecond):
			}
		})
	}
	all.Wait()
	t.Logf("%d extended, %d ended before", kept.Load(), ended.Load())
}

func TestExpiryGoesByTheNewTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithCancelCause(t.Context())
		s := &session{cancel: cancel, b: &Broker{now: time.Now}, deadline: make(chan time.Time), expiring: make(chan struct{}, 1)}
		var warned []time.Duration
		told := make(chan struct{})
		go func() {
			defer close(told)
			for {
				select {
				case <-s.expiring:
					warned = append(warned, time.Since(began))
				case <-ctx.Done():
					return
				}
			}
		}()
		time.AfterFunc(7*time.Minute, func() { s.deadline <- began.Add(2 * time.Hour) })
		time.AfterFunc(time.Hour, func() { s.deadline <- began.Add(time.Hour + 30*time.Second) })
		s.expire(ctx, began.Add(10*time.Minute))
		<-told
		if took := time.Since(began); took != time.Hour+30*time.Second || !errors.Is(context.Cause(ctx), errExpired) {
			t.Errorf("ended after %v with %v", took, context.Cause(ctx))
		}
		// Five minutes before the first end; of the last one only what was still ahead.
		if want := []time.Duration{5 * time.Minute, time.Hour + 20*time.Second}; !slices.Equal(warned, want) {
			t.Errorf("warned after %v, want %v", warned, want)
		}
	})
}
