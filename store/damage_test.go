package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// contents is everything that a store holds.
type contents struct {
	Sessions []Session
	Entries  []Entry
	Port     int
}

func read(t testing.TB, s *Store) contents {
	t.Helper()
	var c contents
	var e1, e2, e3 error
	c.Sessions, e1 = s.Sessions()
	c.Entries, e2 = s.Entries()
	c.Port, e3 = s.Port("web1", "python")
	if err := errors.Join(e1, e2, e3); err != nil {
		t.Fatal(err)
	}
	return c
}

// sample makes a database with branch, leaf, free and freelist pages, and returns its bytes and contents.
func sample(t testing.TB) ([]byte, contents) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	s := mustOpen(t, path)
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for i := range 40 {
		ended := at.Add(time.Duration(i) * time.Minute)
		err := errors.Join(
			s.PutSession(Session{ID: fmt.Sprintf("s%02d", i), Host: "web1", Lang: "python", Created: at, Ended: &ended,
				View: json.RawMessage(`{"text":"` + strings.Repeat("x", 200) + `"}`)}),
			s.PutEntry(Entry{ID: fmt.Sprintf("e%02d", i), Session: "s", Host: "web1", Workspace: "/tmp/x" + strings.Repeat("y", 100), Created: at}))
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Prune(at.Add(3 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.DeleteEntry("e07"), s.SetPort("web1", "python", 41234)); err != nil {
		t.Fatal(err)
	}
	c := read(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b, c
}

// refuses opens a database of these bytes: it must be refused as damaged, or hold exactly what was written; and be unchanged.
// It tells which.
func refuses(t *testing.T, what string, b []byte, want contents) bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path, Options{Verify: selfVerifier(t, "verify-store")})
	if err == nil {
		if got := read(t, s); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: opened, with other contents than were written", what)
		}
		s.Close()
	} else {
		var d *DamagedError
		if !errors.As(err, &d) {
			t.Errorf("%s: %v, want a DamagedError", what, err)
		} else if d.Path != path || !strings.Contains(err.Error(), path) || !strings.Contains(d.Hint(), "mv '"+path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %q, hint %q", what, err, d.Hint())
		}
	}
	after, rerr := os.ReadFile(path)
	if rerr != nil || !bytes.Equal(after, b) {
		t.Errorf("%s: the file was changed (%v)", what, rerr)
	}
	if names, _ := filepath.Glob(filepath.Dir(path) + "/*"); len(names) != 1 {
		t.Errorf("%s: files appeared: %v", what, names)
	}
	return err != nil
}

func TestTruncated(t *testing.T) {
	b, want := sample(t)
	lengths := []int{0, 1, 15, 16, 79, 80, 100, len(b) / 2, len(b) - 4097}
	for at := os.Getpagesize(); at < len(b); at += os.Getpagesize() {
		lengths = append(lengths, at-1, at, at+1, at+80)
	}
	refused := 0
	for _, n := range lengths {
		if n >= 0 && n < len(b) && refuses(t, fmt.Sprintf("cut to %d of %d", n, len(b)), b[:n], want) {
			refused++
		}
	}
	if refused < len(lengths)/2 {
		t.Errorf("%d of %d refused", refused, len(lengths))
	}
}

// TestFlipped flips bits over all pages: their headers, their elements, and anywhere. STORE_FLIPS sets how many a page.
func TestFlipped(t *testing.T) {
	b, want := sample(t)
	perPage := 8
	if v, err := strconv.Atoi(os.Getenv("STORE_FLIPS")); err == nil {
		perPage = v
	}
	rng := rand.New(rand.NewPCG(1, 2))
	size, flips, refused := os.Getpagesize(), 0, 0
	for page := 0; page < len(b); page += size {
		for i := range perPage {
			within := size
			switch i % 4 {
			case 0:
				within = pageHeader
			case 1:
				within = pageHeader + metaSize
			case 2:
				within = 512
			}
			at, bit := page+rng.IntN(within), rng.IntN(8)
			c := bytes.Clone(b)
			c[at] ^= 1 << bit
			flips++
			if refuses(t, fmt.Sprintf("bit %d of byte %d (page %d + %d)", bit, at, page/size, at-page), c, want) {
				refused++
			}
		}
	}
	t.Logf("%d of %d flips refused, the others were where nothing is", refused, flips)
	if refused < flips/4 {
		t.Error("too few")
	}
}

func TestOverwritten(t *testing.T) {
	b, want := sample(t)
	size := os.Getpagesize()
	rng := rand.New(rand.NewPCG(3, 4))
	for page := 0; page < len(b)/size; page++ {
		zero, noise, copied := bytes.Clone(b), bytes.Clone(b), bytes.Clone(b)
		clear(zero[page*size : (page+1)*size])
		for i := page * size; i < (page+1)*size; i++ {
			noise[i] = byte(rng.Uint32())
		}
		copy(copied[page*size:], b[(page+1)%(len(b)/size)*size:][:size])
		refuses(t, fmt.Sprintf("page %d zeroed", page), zero, want)
		refuses(t, fmt.Sprintf("page %d noise", page), noise, want)
		refuses(t, fmt.Sprintf("page %d replaced by the next", page), copied, want)
	}
}

func TestForeign(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	for what, b := range map[string][]byte{
		"empty":    {},
		"sqlite":   append([]byte("SQLite format 3\x00"), make([]byte, 8192)...),
		"text":     []byte("hello\n"),
		"zeros":    make([]byte, 32<<10),
		"noise":    noise,
		"terminal": []byte("\x1b]0;owned\x07 and some more text to fill the page header"),
	} {
		if !refuses(t, what, b, contents{}) {
			t.Errorf("%s: opened", what)
		}
	}
}

func TestNotAFile(t *testing.T) {
	for what, make := range map[string]func(path string) error{
		"directory":     func(p string) error { return os.Mkdir(p, 0o700) },
		"named pipe":    func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"symbolic link": func(p string) error { return os.Symlink(filepath.Join(filepath.Dir(p), "nowhere"), p) },
	} {
		path := filepath.Join(t.TempDir(), "db")
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), path, Options{})
		var d *DamagedError
		if !errors.As(err, &d) || !strings.Contains(d.Why, what) {
			t.Errorf("%s: %v", what, err)
		}
		if err := VerifyInProcess(path); !errors.As(err, &d) {
			t.Errorf("verify %s: %v", what, err)
		}
		if names, _ := filepath.Glob(filepath.Dir(path) + "/*"); len(names) != 1 {
			t.Errorf("%s: files appeared: %v", what, names)
		}
	}
}
