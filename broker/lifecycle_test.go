package broker

import (
	"context"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs"
	"github.com/debugbroker/debugbroker/store"
	"github.com/debugbroker/debugbroker/tunnel"
)

// Whatever Open returned before or while the daemon ended is over when Run returns.
func TestRunEndsEverySession(t *testing.T) {
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "broker.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for range 10 {
		host := newFakeHost("127.0.0.1:1")
		host.silent = true
		b := New(Options{
			Config: configs.Default(), Store: st, Adapters: []adapters.Adapter{fakeAdapter{}}, Log: hclog.NewNullLogger(),
			Hosts: NewHosts(nil, nil, func() tunnel.Host { return host }),
		})
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if err := b.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		const openers = 8
		opened := make(chan *session, openers*maxSessions)
		begun := make(chan struct{}, openers)
		var openings sync.WaitGroup
		for range openers {
			openings.Go(func() {
				begun <- struct{}{}
				for {
					s, err := b.Open(api.OpenRequest{Lang: "java"})
					if err != nil {
						return
					}
					opened <- s
				}
			})
		}
		for range openers {
			<-begun
		}
		cancel()
		all.Wait()
		openings.Wait()
		close(opened)
		for s := range opened {
			select {
			case <-s.done:
			default:
				t.Fatalf("session %s outlived Run: %+v", s.id, s.snapshot())
			}
		}
		if n := host.remaining(); n != 0 {
			t.Fatalf("%d workspaces are left", n)
		}
	}
}

// A host that answers no more, though its link is not known to be lost, does not hold up the end of a session.
func TestEndOnAHungHost(t *testing.T) {
	t.Parallel() // it takes endWait
	f := newFixture(t, fakeAdapter{change: func(_ adapters.Request, p *adapters.Plan) {
		p.Stop = func(ctx context.Context, dial adapters.Dial) error { _, err := dial(ctx); return err }
	}})
	s := f.open(t, api.OpenRequest{})
	close(f.host.hung)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), endWait+5*time.Second)
	defer cancel()
	closed, err := f.b.Close(ctx, s.id)
	if err != nil || closed.Error == nil || closed.Error.Code != api.CodeUnreachable || len(closed.Left) != 1 {
		t.Fatalf("close: %+v, %v", closed, err)
	}
	if took := time.Since(began); took < stopWait {
		t.Errorf("ended after %v: the host was not waited for", took)
	}
	v := s.snapshot()
	if v.Phase != api.PhaseClosed || len(v.Left) != 1 {
		t.Errorf("phase %s, left %q", v.Phase, v.Left)
	}
	if pending, err := f.b.ledger.pending(s.id); err != nil || len(pending) == 0 {
		t.Errorf("the ledger forgot what is on the host: %v, %v", pending, err)
	}
}

// A panic ends one session: the host is cleaned up, and the others live on.
func TestPanicEndsOneSession(t *testing.T) {
	for name, change := range map[string]func(*adapters.Plan){
		"while opening": func(p *adapters.Plan) {
			p.Started = func(context.Context, adapters.Dial) (adapters.Started, error) { panic("oops") }
		},
		"while watching": func(p *adapters.Plan) {
			p.Watch = func(context.Context, adapters.Dial) (adapters.Exit, error) { panic("oops") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, fakeAdapter{change: func(r adapters.Request, p *adapters.Plan) {
				if len(r.Program) > 0 {
					change(p)
				}
			}})
			good := f.open(t, api.OpenRequest{})
			v := awaitEnd(t, f.open(t, api.OpenRequest{Program: []string{"bad"}}))
			if v.Phase != api.PhaseFailed || v.Error == nil || v.Error.Code != api.CodeInternal || len(v.Left) != 0 {
				t.Errorf("phase %s, error %+v, left %q", v.Phase, v.Error, v.Left)
			}
			if n := f.host.remaining(); n != 1 {
				t.Errorf("%d workspaces, want the good session's", n)
			}
			if p := good.snapshot().Phase; p != api.PhaseReady {
				t.Errorf("the other session is %s", p)
			}
		})
	}
	t.Run("while ending", func(t *testing.T) {
		f := newFixture(t, fakeAdapter{change: func(_ adapters.Request, p *adapters.Plan) {
			p.Stop = func(context.Context, adapters.Dial) error { panic("oops") }
		}})
		s := f.open(t, api.OpenRequest{})
		s.cancel(errClosed)
		v := awaitEnd(t, s)
		if v.Phase != api.PhaseFailed || v.Error == nil {
			t.Errorf("phase %s, error %+v", v.Phase, v.Error)
		}
		eventually(t, &f.b.tracker, "clean-up", func() bool { return f.host.remaining() == 0 && len(s.snapshot().Left) == 0 })
	})
}

// eventually waits for a condition that holds after some change of what tracker counts.
func eventually(t *testing.T, tracker *Tracker, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		seen := tracker.Version()
		if ok() {
			return
		}
		if tracker.Wait(ctx, seen) != nil {
			t.Fatalf("never: %s", what)
		}
	}
}

// What tells of the program's end is asked again when its connection fails, and is believed though the server's own end is seen first.
func TestWatch(t *testing.T) {
	t.Run("asked again", func(t *testing.T) {
		asked := 0
		f := newFixture(t, fakeAdapter{change: func(_ adapters.Request, p *adapters.Plan) {
			p.Watch = func(context.Context, adapters.Dial) (adapters.Exit, error) {
				if asked++; asked == 1 {
					return adapters.Exit{}, io.ErrUnexpectedEOF
				}
				return adapters.Exit{Code: 7}, nil
			}
		}})
		v := awaitEnd(t, f.open(t, api.OpenRequest{}))
		if v.Phase != api.PhaseClosed || v.Exit == nil || v.Exit.Code == nil || *v.Exit.Code != 7 {
			t.Errorf("phase %s, exit %+v", v.Phase, v.Exit)
		}
	})
	t.Run("after the server", func(t *testing.T) {
		over := make(chan struct{})
		f := newFixture(t, fakeAdapter{change: func(_ adapters.Request, p *adapters.Plan) {
			p.Watch = func(ctx context.Context, _ adapters.Dial) (adapters.Exit, error) {
				select {
				case <-over:
					return adapters.Exit{Signal: "SEGV"}, nil
				case <-ctx.Done():
					return adapters.Exit{}, ctx.Err()
				}
			}
		}})
		s := f.open(t, api.OpenRequest{})
		f.host.process().end(tunnel.Exit{Code: 0}, nil)
		time.AfterFunc(100*time.Millisecond, func() { close(over) })
		if v := awaitEnd(t, s); v.Exit == nil || v.Exit.Signal != "SEGV" || v.Exit.Code != nil {
			t.Errorf("exit %+v", v.Exit)
		}
	})
}
