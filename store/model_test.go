package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestModel compares the store with plain maps, over reopenings.
func TestModel(t *testing.T) {
	base := t.TempDir()
	ids := rapid.SampledFrom([]string{"a", "b", "c", "with space", "ünï"})
	when := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(0, 1000).Draw(t, "at"), rapid.Int64Range(0, 999).Draw(t, "ns")).UTC()
	})
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			rt.Fatal(err)
		}
		path := filepath.Join(dir, "db")
		reopen := func() *Store {
			s, err := Open(t.Context(), path, Options{})
			if err != nil {
				rt.Fatal(err)
			}
			s.db.NoSync = true // durability is TestKilled's; this is about content
			return s
		}
		s := reopen()
		defer func() { s.Close() }()
		sessions, entries, ports := map[string]Session{}, map[string]Entry{}, map[[2]string]int{}
		ok := func(err error) {
			if err != nil {
				rt.Fatal(err)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"PutSession": func(t *rapid.T) {
				v := Session{ID: ids.Draw(t, "id"), Host: rapid.String().Draw(t, "host"), Program: rapid.SliceOfN(rapid.String(), 1, 3).Draw(t, "program"), Created: when.Draw(t, "created")}
				if rapid.Bool().Draw(t, "ended") {
					at := when.Draw(t, "ended at")
					v.Ended, v.View = &at, json.RawMessage(`{"id":"x"}`)
				}
				ok(s.PutSession(v))
				sessions[v.ID] = v
			},
			"Prune": func(t *rapid.T) {
				before, n := when.Draw(t, "before"), len(sessions)
				maps.DeleteFunc(sessions, func(_ string, v Session) bool { return v.Ended != nil && v.Ended.Before(before) })
				gone, err := s.Prune(before)
				ok(err)
				if gone != n-len(sessions) {
					t.Fatalf("pruned %d, want %d", gone, n-len(sessions))
				}
			},
			"PutEntry": func(t *rapid.T) {
				v := Entry{ID: ids.Draw(t, "id"), Workspace: rapid.String().Draw(t, "workspace"), Created: when.Draw(t, "created")}
				ok(s.PutEntry(v))
				entries[v.ID] = v
			},
			"DeleteEntry": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				ok(s.DeleteEntry(id))
				delete(entries, id)
			},
			"SetPort": func(t *rapid.T) {
				host, lang, port := ids.Draw(t, "host"), rapid.SampledFrom([]string{"go", "node"}).Draw(t, "lang"), rapid.IntRange(1, 65535).Draw(t, "port")
				ok(s.SetPort(host, lang, port))
				ports[[2]string{host, lang}] = port
			},
			"Reopen": func(t *rapid.T) {
				ok(s.Close())
				ok(VerifyInProcess(path))
				s = reopen()
			},
			"": func(t *rapid.T) {
				gotS, err := s.Sessions()
				ok(err)
				gotE, err := s.Entries()
				ok(err)
				same(t, "sessions", gotS, sessions)
				same(t, "entries", gotE, entries)
				id := ids.Draw(t, "id")
				one, err := s.Session(id)
				if want, there := sessions[id]; there != (err == nil) || !there != errors.Is(err, ErrNotFound) || !reflect.DeepEqual(one, want) {
					t.Fatalf("session %q: %+v, %v", id, one, err)
				}
				if p, err := s.Port(id, "go"); err != nil || p != ports[[2]string{id, "go"}] {
					t.Fatalf("port %d, %v", p, err)
				}
			},
		})
	})
}

func same[T any](t *rapid.T, what string, got []T, want map[string]T) {
	if len(got) != len(want) {
		t.Fatalf("%s: %d, want %d", what, len(got), len(want))
	}
	for i, id := range slices.Sorted(maps.Keys(want)) {
		if !reflect.DeepEqual(got[i], want[id]) {
			t.Fatalf("%s %q: %+v, want %+v", what, id, got[i], want[id])
		}
	}
}

func TestRefusedRecords(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "db"))
	if err := s.PutEntry(Entry{}); err == nil {
		t.Error("an entry without id was taken")
	}
	if err := s.PutSession(Session{ID: "a", View: json.RawMessage("{")}); err == nil {
		t.Error("a view that is not JSON was taken")
	}
	for _, port := range []int{0, -1, 65536} {
		if err := s.SetPort("h", "go", port); err == nil {
			t.Errorf("port %d was taken", port)
		}
	}
}

// TestKilled kills a writer at a random moment, again and again: the database opens, and holds every entry that was acknowledged.
func TestKilled(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "db")
	mustOpen(t, path).Close()
	acked := map[string]bool{}
	for round := range 6 {
		cmd := exec.Command(exe, "write-for-ever", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			acked[lines.Text()] = true
			if n == 5+round {
				cmd.Process.Kill() // it writes on until the signal is there
			}
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("writer ended by itself: %v", err)
		}
		s := mustOpen(t, path)
		entries, err := s.Entries()
		if err != nil {
			t.Fatal(err)
		}
		for id := range acked {
			if !slices.ContainsFunc(entries, func(e Entry) bool { return e.ID == id }) {
				t.Errorf("round %d: %s was acknowledged and is gone", round, id)
			}
		}
		s.Close()
	}
	if len(acked) < 36 {
		t.Errorf("%d acknowledged", len(acked))
	}
}
