package broker

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// TestManyLinesCostLittle floods the log as a hostile or merely chatty program does: with empty lines, and more than it keeps.
func TestManyLinesCostLittle(t *testing.T) {
	var o output
	const lines = 400_000
	began := time.Now()
	for range lines {
		o.add("stdout", "", time.Time{})
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%d lines took %s", lines, took)
	}
	if kept, next, _ := o.since(0); len(kept) > maxLogBytes/lineCost || next != lines {
		t.Errorf("%d lines are kept, the next is %d", len(kept), next)
	}
}

// stuck is the output of a process whose host does not end it.
type stuck struct{ freed chan struct{} }

func (s stuck) Read([]byte) (int, error) {
	<-s.freed
	return 0, io.EOF
}

func TestSplitLinesGivesUpAHostThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stuck{make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		splitLines(ctx, s, func(l string) { t.Errorf("got %q", l) })
		if took := time.Since(began); took != partingWait {
			t.Errorf("it took %s", took)
		}
		close(s.freed)
	})
}
