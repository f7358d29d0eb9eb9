package broker

import (
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"pgregory.net/rapid"

	"github.com/debugbroker/debugbroker/store"
)

// Whatever sessions and replays do one after the other: a workspace that is on the host is in the ledger, a session's own is reaped by
// nobody else, and what is abandoned goes at the first visit at which it can.
func TestLedgerModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st, closeStore := modelStore(t)
		defer closeStore()
		host := newFakeHost("")
		stuck := map[string]bool{} // workspaces that cannot be cleaned up now
		host.reaped = func(workspace string) error {
			if stuck[workspace] {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		l := newLedger(st, NewHosts(nil, nil, host.connect), &events{}, func(string, []string) {}, hclog.NewNullLogger())
		live, left := map[string]store.Entry{}, map[string]store.Entry{}
		one := func(of map[string]store.Entry) store.Entry {
			if len(of) == 0 {
				t.Skip("there is none")
			}
			return of[rapid.SampledFrom(slices.Sorted(maps.Keys(of))).Draw(t, "which")]
		}
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(t *rapid.T) {
				n++
				id := string(rune('a'+n/26)) + string(rune('a'+n%26))
				e := store.Entry{ID: id, Session: id, Workspace: "/tmp/" + id, Created: time.Now()}
				if err := l.enter(e); err != nil {
					t.Fatal(err)
				}
				host.workspaces[e.Workspace] = nil
				live[id] = e
			},
			"end": func(*rapid.T) {
				e := one(live)
				delete(live, e.ID)
				if _, err := l.reap(t.Context(), host, e); err != nil {
					l.abandon(e)
					left[e.ID] = e
				}
			},
			"abandon": func(*rapid.T) {
				e := one(live)
				delete(live, e.ID)
				l.abandon(e)
				left[e.ID] = e
			},
			"stick": func(*rapid.T) { stuck[one(left).Workspace] = true },
			"free":  func(*rapid.T) { clear(stuck) },
			"visit": func(*rapid.T) {
				if err := l.visit(t.Context(), ""); err == nil && len(stuck) > 0 && slices.ContainsFunc(slices.Collect(maps.Values(left)), func(e store.Entry) bool { return stuck[e.Workspace] }) {
					t.Fatal("what cannot be cleaned up was not told")
				}
				maps.DeleteFunc(left, func(_ string, e store.Entry) bool { return !stuck[e.Workspace] })
			},
			"": func(t *rapid.T) {
				want := slices.Sorted(maps.Keys(live))
				want = append(want, slices.Sorted(maps.Keys(left))...)
				slices.Sort(want)
				var got []string
				entries, err := l.store.Entries()
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					got = append(got, e.ID)
					if _, there := host.workspaces[e.Workspace]; !there {
						t.Fatalf("%s is in the ledger and not on the host", e.ID)
					}
				}
				if !slices.Equal(got, want) || len(host.workspaces) != len(want) {
					t.Fatalf("ledger %q, host %d, want %q", got, len(host.workspaces), want)
				}
			},
		})
	})
}

func modelStore(t *rapid.T) (*store.Store, func()) {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(context.Background(), filepath.Join(dir, "db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return st, func() {
		st.Close()
		os.RemoveAll(dir)
	}
}
