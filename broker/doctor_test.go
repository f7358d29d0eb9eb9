package broker

import (
	"errors"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
)

// TestDoctorOfASilentHost: a host that answers nothing to what it is asked gets complaints with hints, and no panic.
func TestDoctorOfASilentHost(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	var checks []api.Check
	err := f.b.Doctor(t.Context(), api.DoctorRequest{Local: true, Lang: "java"}, func(c api.Check) error {
		checks = append(checks, c)
		return nil
	})
	if err != nil || len(checks) < 4 {
		t.Errorf("%v, %+v", err, checks)
	}
	for _, c := range checks {
		if c.Check == "" || c.Detail == "" || !c.OK && c.Hint == "" {
			t.Errorf("incomplete: %+v", c)
		}
		if c.Check == "workspace" && c.OK {
			t.Errorf("nothing was made, and it is said to be well: %+v", c)
		}
	}
}

// TestDoctorNobodyListens: it ends when what it finds cannot be sent any more.
func TestDoctorNobodyListens(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	gone, sent := errors.New("gone"), 0
	err := f.b.Doctor(t.Context(), api.DoctorRequest{Local: true}, func(api.Check) error { sent++; return gone })
	if !errors.Is(err, gone) || sent != 1 {
		t.Errorf("%v after %d", err, sent)
	}
}

func TestDoctorOfAnUnknownLanguage(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	err := f.b.Doctor(t.Context(), api.DoctorRequest{Local: true, Lang: "cobol"}, func(c api.Check) error {
		t.Errorf("it was examined: %+v", c)
		return nil
	})
	if e := asAPI(err); e == nil || e.Code != api.CodeUsage {
		t.Errorf("%v", err)
	}
}

func TestOneLine(t *testing.T) {
	got := oneLine("a\nb\x1b[2J\xff" + strings.Repeat("x", 1000))
	if strings.ContainsAny(got, "\n\x1b") || len(got) > 520 || !strings.HasPrefix(got, "a b [2J?x") {
		t.Errorf("%q", got)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 5 << 20: "5 MiB", 77 << 30: "77 GiB", 1 << 52: "4096 TiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
