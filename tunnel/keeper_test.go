package tunnel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// fakeLinks hands out links that are nothing but something to be lost. What comes of a dial is up to outcome.
type fakeLinks struct {
	outcome func(ctx context.Context) error // nil: a link

	mu     sync.Mutex
	dials  []time.Time
	inDial int
	most   int // dials at the same time
	held   int // links not yet released
	last   *Link
}

func (f *fakeLinks) Link(ctx context.Context, _ Target, _ Caller, _ func(string)) (*Link, func(), error) {
	f.mu.Lock()
	f.dials = append(f.dials, time.Now())
	f.inDial++
	f.most = max(f.most, f.inDial)
	outcome := f.outcome
	f.mu.Unlock()
	err := outcome(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inDial--
	if err != nil {
		return nil, nil, err
	}
	f.last = &Link{ended: make(chan struct{})}
	f.held++
	return f.last, sync.OnceFunc(func() { f.mu.Lock(); f.held--; f.mu.Unlock() }), nil
}

func (f *fakeLinks) enroll(*Keeper, string) {}
func (f *fakeLinks) dismiss(*Keeper)        {}

func (f *fakeLinks) set(outcome func(context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outcome = outcome
}

func (f *fakeLinks) count() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.dials) }

// lose ends the link that was handed out last.
func (f *fakeLinks) lose() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last.shut(fmt.Errorf("%w: cut", ErrLinkLost))
}

func works(context.Context) error { return nil }

func fails(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

// keep runs a Keeper until stop is called.
func keep(t testing.TB, l links, target Target) (k *Keeper, stop func()) {
	t.Helper()
	k = newKeeper(l, KeeperOptions{Name: "box", Resolve: func(context.Context) (Target, Caller, error) { return target, Caller{}, nil }})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	t.Cleanup(stop)
	return k, stop
}

func TestKeeperDialsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLinks{outcome: fails(ErrUnreachable)}
		k, stop := keep(t, f, Target{})
		time.Sleep(24 * time.Hour)
		s := k.Status()
		if s.State != LinkWaiting || !errors.Is(s.Err, ErrUnreachable) || s.RetryAt.Before(time.Now()) || s.RetryAt.After(time.Now().Add(longestPause)) {
			t.Errorf("Status = %+v", s)
		}
		dials := f.dials
		for i := 1; i < len(dials); i++ {
			// The bound doubles: 0.5, 1, 2, … 30 s.
			if bound := min(firstPause<<min(i-1, 10), longestPause); dials[i].Sub(dials[i-1]) > bound {
				t.Errorf("dial %d came %s after the one before, want at most %s", i, dials[i].Sub(dials[i-1]), bound)
			}
		}
		// A day holds 2880 pauses of 30 s; jitter over all of it makes that twice as many in the mean.
		if n := len(dials); n < 4800 || n > 7200 {
			t.Errorf("%d dials in a day, want about 5760", n)
		}
		f.set(works)
		time.Sleep(longestPause)
		synctest.Wait()
		if s := k.Status(); s.State != LinkUp || s.Err != nil || !s.RetryAt.IsZero() {
			t.Errorf("Status = %+v once the host is back", s)
		}
		stop()
		if f.held != 0 {
			t.Errorf("%d links are not given back", f.held)
		}
	})
}

func TestKeeperDialsAtOnceAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLinks{outcome: works}
		k, stop := keep(t, f, Target{})
		defer stop()
		for range 5 {
			time.Sleep(time.Minute)
			before := f.count()
			f.lose()
			synctest.Wait()
			if f.count() != before+1 || k.Status().State != LinkUp {
				t.Fatalf("no new link in the moment of the loss: %+v", k.Status())
			}
		}
	})
}

// While somebody waits for a connection, pauses are in proportion to the outage, unless it is the server that has enough.
func TestKeeperHurriesForWhoWaits(t *testing.T) {
	for _, test := range []struct {
		name    string
		err     error
		hurries bool
	}{{"unreachable", ErrUnreachable, true}, {"busy", classified(ErrUnreachable, ErrBusy), false}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeLinks{outcome: works}
				k, stop := keep(t, f, Target{})
				defer stop()
				time.Sleep(time.Minute)
				f.set(fails(test.err))
				f.lose()
				began := time.Now()
				before := f.count()
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				waited := make(chan error, 1)
				go func() {
					_, err := k.Dial(ctx, "tcp", "localhost:1")
					waited <- err
				}()
				time.Sleep(time.Minute)
				inAMinute := f.count() - before
				time.Sleep(2 * time.Hour)
				if err := <-waited; !errors.Is(err, test.err) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Dial = %v", err)
				}
				stop()
				var last time.Time
				for _, at := range f.dials[before+1:] {
					if bound := max(at.Sub(began)/wantedShare, wantedPause); test.hurries && at.Sub(began) < 2*time.Hour && !last.IsZero() && at.Sub(last) > bound {
						t.Errorf("a pause of %s, %s after the loss: want at most %s", at.Sub(last), at.Sub(began), bound)
					}
					last = at
				}
				// Without hurry there are about nine: 0, 0.25, 0.75, 1.75, …, 31 s in the mean. With it about twenty while the share is below
				// wantedPause, and one each twentieth of the outage afterwards.
				if hurried := inAMinute > 30; hurried != test.hurries || inAMinute > 200 {
					t.Errorf("%d dials in the first minute", inAMinute)
				}
			})
		})
	}
}

// A server that lets us in and hangs up gets pauses like one that does not answer.
func TestKeeperPausesForWhatIsLostAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLinks{outcome: works}
		k, stop := keep(t, f, Target{})
		defer stop()
		for end := time.Now().Add(time.Hour); time.Now().Before(end); {
			if _, err := k.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
			f.lose()
			synctest.Wait()
		}
		if n := f.count(); n > 600 {
			t.Errorf("%d dials in an hour, want about 240", n)
		}
	})
}

func TestKeeperWaitsForAPerson(t *testing.T) {
	for _, want := range []error{ErrNeedsAuth, ErrAuth, ErrHostKey} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeLinks{outcome: fails(fmt.Errorf("dial: %w", want))}
			k, stop := keep(t, f, Target{})
			defer stop()
			for round := 1; round <= 3; round++ {
				time.Sleep(24 * time.Hour)
				k.nudge() // no waking and no other network brings a person
				synctest.Wait()
				if s := k.Status(); s.State != LinkNeedsAuth || !errors.Is(s.Err, want) {
					t.Errorf("%v: Status = %+v", want, s)
				}
				if n := f.count(); n != round {
					t.Fatalf("%v: %d dials after %d calls of Retry", want, n, round-1)
				}
				k.Retry()
				synctest.Wait()
			}
			f.set(works)
			k.Retry()
			synctest.Wait()
			if s := k.Status(); s.State != LinkUp {
				t.Errorf("%v: Status = %+v", want, s)
			}
		})
	}
}

// What a person did while a dial was under way may be what that dial lacked.
func TestKeeperRetryInADial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLinks{outcome: func(context.Context) error { time.Sleep(time.Second); return ErrAuth }}
		k, stop := keep(t, f, Target{})
		defer stop()
		time.Sleep(500 * time.Millisecond)
		k.Retry()
		k.Retry()
		time.Sleep(time.Hour)
		if n := f.count(); n != 2 {
			t.Errorf("%d dials, want 2", n)
		}
	})
}

func TestKeeperProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLinks{outcome: fails(ErrUnreachable)}
		k, stop := keep(t, f, Target{})
		defer stop()
		time.Sleep(time.Hour)
		f.set(works)
		k.nudge()
		synctest.Wait()
		if s := k.Status(); s.State != LinkUp {
			t.Errorf("Status = %+v after a probe", s)
		}
		// A dial that began before the network changed may wait for an answer that cannot come.
		f.set(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		time.Sleep(time.Minute)
		f.lose()
		time.Sleep(staleDial - time.Second)
		k.nudge()
		synctest.Wait()
		before := f.count()
		time.Sleep(2 * time.Second)
		f.set(works)
		k.nudge()
		synctest.Wait()
		if s := k.Status(); s.State != LinkUp || f.count() != before+1 {
			t.Errorf("Status = %+v, %d dials more", s, f.count()-before)
		}
	})
}

func TestKeeperUpAndDialWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLinks{outcome: fails(hinted(ErrUnreachable, "plug it in"))}
		k, stop := keep(t, f, Target{})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		began := time.Now()
		_, err := k.Dial(ctx, "tcp", "127.0.0.1:1")
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrUnreachable) || hintOf(err) != "plug it in" {
			t.Errorf("Dial = %v, hint %q", err, hintOf(err))
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("Dial waited %s", took)
		}
		checkWords(t, err, "no link to box", "plug it in")
		time.AfterFunc(20*time.Second, func() { f.set(works) })
		if link, err := k.Up(t.Context()); err != nil || link != f.last {
			t.Errorf("Up = %v, %v", link, err)
		}
		stop()
		if _, err := k.Up(t.Context()); !errors.Is(err, ErrKeeperEnded) {
			t.Errorf("Up = %v, want ErrKeeperEnded", err)
		}
	})
}

// TestKeeperModel throws events at a Keeper and looks at what must hold whatever happens.
func TestKeeperModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ testing.TB }{t}, func(t *rapid.T) { // it would ask for the Deadline, which a bubble has not
			f := &fakeLinks{outcome: works}
			changes := 0
			k := newKeeper(f, KeeperOptions{
				Resolve: func(context.Context) (Target, Caller, error) { return Target{}, Caller{}, nil },
				Changed: func() { changes++ },
			})
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- k.Run(ctx) }()
			defer func() {
				cancel()
				if err := <-ended; err != nil || f.held != 0 {
					t.Errorf("Run = %v, %d links kept", err, f.held)
				}
			}()
			synctest.Wait()
			t.Repeat(map[string]func(*rapid.T){
				"works":  func(*rapid.T) { f.set(works) },
				"fails":  func(*rapid.T) { f.set(fails(ErrUnreachable)) },
				"person": func(*rapid.T) { f.set(fails(ErrNeedsAuth)) },
				"slow": func(*rapid.T) {
					f.set(func(ctx context.Context) error { return sleep(ctx, 10*time.Second, ErrUnreachable) })
				},
				"lose": func(t *rapid.T) {
					if k.Status().State != LinkUp {
						t.Skip("no link")
					}
					f.lose()
					synctest.Wait()
				},
				"retry": func(*rapid.T) {
					before := f.count()
					was := k.Status().State
					k.Retry()
					synctest.Wait()
					if (was == LinkWaiting || was == LinkNeedsAuth) && f.count() == before {
						t.Error("Retry does not dial")
					}
				},
				"probe": func(*rapid.T) { k.nudge(); synctest.Wait() },
				"wait": func(t *rapid.T) {
					before, was := f.count(), k.Status().State
					time.Sleep(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, time.Minute}).Draw(t, "time"))
					synctest.Wait()
					if was == LinkNeedsAuth && f.count() != before {
						t.Error("it dials though a person is needed")
					}
				},
				"": func(t *rapid.T) {
					s := k.Status()
					switch {
					case f.most > 1:
						t.Errorf("%d dials at once", f.most)
					case changes == 0:
						t.Error("nobody heard of a change")
					case (s.State == LinkUp) != (f.held == 1):
						t.Errorf("%+v with %d links", s, f.held)
					case (s.State == LinkWaiting) == s.RetryAt.IsZero(), s.RetryAt.Sub(s.Since) > longestPause:
						t.Errorf("%+v", s)
					case (s.State == LinkWaiting || s.State == LinkNeedsAuth) && s.Err == nil, s.State == LinkUp && s.Err != nil:
						t.Errorf("%+v", s)
					}
				},
			})
		})
	})
}

func sleep(ctx context.Context, d time.Duration, err error) error {
	select {
	case <-time.After(d):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
