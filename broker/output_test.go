package broker

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestSplitLines(t *testing.T) {
	long := strings.Repeat("x", maxLogLine+5)
	for _, tc := range []struct {
		name, in string
		want     []string
	}{
		{"empty", "", nil},
		{"two", "a\nb\n", []string{"a", "b"}},
		{"no end", "a\nb", []string{"a", "b"}},
		{"crlf and blank", "a\r\n\nb\n", []string{"a", "", "b"}},
		{"not utf-8", "a\xffb\n", []string{"a\uFFFDb"}},
		{"too long", long + "\nz\n", []string{long[:maxLogLine], long[maxLogLine:], "z"}},
	} {
		for _, r := range []io.Reader{strings.NewReader(tc.in), iotest.OneByteReader(strings.NewReader(tc.in))} {
			var got []string
			splitLines(t.Context(), r, func(l string) { got = append(got, l) })
			if !slices.Equal(got, tc.want) {
				t.Errorf("%s: got %d lines %.80q, want %d", tc.name, len(got), got, len(tc.want))
			}
		}
	}
}

func TestPromptIsShown(t *testing.T) {
	r, w := io.Pipe()
	got := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		splitLines(t.Context(), r, func(l string) { got <- l })
	}()
	io.WriteString(w, "name? ")
	if l := <-got; l != "name? " {
		t.Errorf("got %q", l)
	}
	w.Close()
	<-done
}

func TestOutputIsBounded(t *testing.T) {
	var o output
	line := strings.Repeat("y", 1000)
	for range 3 * maxLogBytes / 1000 {
		o.add("stdout", line, time.Time{})
	}
	lines, next, _ := o.since(0)
	if total := len(lines) * 1001; total > maxLogBytes {
		t.Errorf("%d bytes are kept", total)
	}
	if more, _, _ := o.since(next - 2); len(more) != 2 {
		t.Errorf("sequence numbers moved: %d lines after the last two", len(more))
	}
	if tail := o.tail(0, 2500, maxLogLine); len(tail) != 2002 {
		t.Errorf("tail has %d bytes", len(tail))
	}
}

func TestTrackerWaits(t *testing.T) {
	var tr Tracker
	seen := tr.Version()
	got := make(chan error, 1)
	go func() { got <- tr.Wait(context.Background(), seen) }()
	tr.Bump()
	if err := <-got; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := tr.Wait(ctx, tr.Version()); err == nil {
		t.Error("Wait returned without a change")
	}
}

// A program that prints nothing but line ends takes no more memory than one that prints text.
func TestOutputCountsLines(t *testing.T) {
	var o output
	now := time.Now()
	for range 100000 {
		o.add("stdout", "", now)
	}
	if n := len(o.lines); n > maxLogBytes/lineCost {
		t.Errorf("%d lines are kept", n)
	}
	if next := o.next(); next != 100000 {
		t.Errorf("next is line %d", next)
	}
	lines, next, _ := o.since(0)
	if next != 100000 || len(lines) != len(o.lines) {
		t.Errorf("since: %d lines, next %d", len(lines), next)
	}
	o.forget()
	if lines, next, _ := o.since(50); len(lines) != 0 || next != 100000 || o.size() != 0 {
		t.Errorf("after forget: %d lines, next %d, %d bytes", len(lines), next, o.size())
	}
}
