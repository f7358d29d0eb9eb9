package broker

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

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
	for range 50 {
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
