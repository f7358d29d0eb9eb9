package integration_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
)

// TestDamagedDatabase: it is named, never touched, and there is a way to go on.
func TestDamagedDatabase(t *testing.T) {
	t.Parallel()
	s := newLoneStation(t, "")
	s.clean(t)
	for range 3 { // records
		if r := s.Run("open", "nosuchhost.invalid:python", "--", "a.py"); r.Code != 5 {
			t.Fatalf("%+v", r)
		}
	}
	s.OK("stop")
	path := filepath.Join(s.StateDir(), "broker.db")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	db, err := bbolt.Open(foreign, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("somebody else's")); return err })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(foreign)
	if err != nil {
		t.Fatal(err)
	}
	zeroed := bytes.Clone(whole)
	clear(zeroed[len(zeroed)/4:])
	tests := []struct {
		name string
		text []byte
	}{
		{"text", []byte("this is not a database\n")},
		{"truncated", whole[:3*4096]}, // the last pages of the file may be free, and are not missed
		{"cut in a page", whole[:2*4096+100]},
		{"one page", whole[:4096]},
		{"zeroes", make([]byte, len(whole))},
		{"zeroed at the end", zeroed},
		{"foreign", other},
		{"SQLite", append([]byte("SQLite format 3\x00"), make([]byte, 8192)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, tt.text, 0o600); err != nil {
				t.Fatal(err)
			}
			defer s.Run("stop") // a daemon that took it would answer all that follows
			s.complains(t, complaint{1, api.CodeStore, []string{path, "mv"}}, "list")
			unchanged(t, path, tt.text)
		})
	}
	t.Run("bits", func(t *testing.T) {
		refused := 0
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		for range 40 {
			text := bytes.Clone(whole)
			at := random.IntN(len(text))
			for text[at] == 0 && random.IntN(20) > 0 {
				at = random.IntN(len(text)) // most of it is empty space
			}
			text[at] ^= 1 << random.IntN(8)
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			r := s.runWith(t, nil, "list", "--all", "--json")
			switch r.Code {
			case 0: // a bit that nothing depends on
				if n := strings.Count(r.Stdout, `"nosuchhost.invalid"`); n != 3 {
					t.Errorf("bit in byte %d: accepted, and %d sessions of 3 are there:\n%s", at, n, r.Stdout)
				}
				s.OK("stop")
			case 1:
				refused++
				complaint{1, api.CodeStore, []string{path}}.check(t, errorOf(t, r))
				unchanged(t, path, text)
			default:
				t.Errorf("bit in byte %d: exit code %d\n%s%s", at, r.Code, r.Stdout, r.Stderr)
			}
			if strings.Contains(r.Stderr+s.Log(), "panic") || strings.Contains(r.Stderr+s.Log(), "SIGBUS") {
				t.Fatalf("bit in byte %d: panic\n%s", at, r.Stderr)
			}
		}
		t.Logf("%d of 40 were refused", refused)
	})
	t.Run("in use", func(t *testing.T) {
		restore()
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		begin := time.Now()
		s.complainsOnce(t, complaint{1, api.CodeStore, []string{path}}, "list")
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("took %s", took)
		}
	})
	t.Run("the way to go on", func(t *testing.T) {
		if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
		e := s.Fails(1, "list")
		// The hint is a command line, or has one in it.
		if err := os.Rename(path, path+".damaged"); err != nil {
			t.Fatal(err)
		}
		s.OK("list")
		s.OK("stop")
		unchanged(t, path+".damaged", []byte("damaged"))
		if !strings.Contains(e.Hint, fmt.Sprintf("mv %s", path)) && !strings.Contains(e.Hint, "mv '"+path) {
			t.Errorf("hint %q", e.Hint)
		}
	})
	t.Run("whole", func(t *testing.T) {
		restore()
		if n := len(brokertest.JSON[[]api.Session](s.In(t), "list", "--all")); n != 3 {
			t.Errorf("%d sessions", n)
		}
	})
}

func unchanged(t *testing.T, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s was changed (%v): %d bytes, were %d", path, err, len(got), len(want))
	}
}
