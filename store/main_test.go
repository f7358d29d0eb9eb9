package store

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets the test program be the children that the package needs.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case "verify-store":
			os.Exit(VerifyMain(os.Args[2], os.Stderr))
		case "write-for-ever":
			writeForEver(os.Args[2])
		case "crash":
			panic("crashed\x1b[31m on purpose")
		case "hang":
			time.Sleep(time.Hour)
		}
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // else each child of a -race build sleeps for a second before it ends
	goleak.VerifyTestMain(m)
}

// writeForEver acknowledges each entry on stdout once PutEntry has returned.
func writeForEver(path string) {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	entries, err := s.Entries()
	for i := len(entries); err == nil; i++ {
		id := "e" + strconv.Itoa(i)
		if err = s.PutEntry(Entry{ID: id, Host: "web1", Workspace: "/tmp/.debugbroker-" + id}); err == nil {
			fmt.Println(id)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func selfVerifier(t testing.TB, verb string) func(context.Context, string) error {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return ChildVerifier(exe, verb)
}

func mustOpen(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, Options{Verify: selfVerifier(t, "verify-store")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
