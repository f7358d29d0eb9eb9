package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// Sessions that have ended stay listed, but what they printed does not pile up.
func TestEndedSessionsAreTrimmed(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	const each = maxLogBytes - maxLogLine
	count := maxEndedOutput/each + 3
	for i := range count {
		ended := time.Now().UTC().Add(time.Duration(i) * time.Second)
		s := newSession(f.b, fmt.Sprintf("old%03d", i), api.OpenRequest{}, fakeAdapter{}, func(error) {})
		for s.out.size() < each {
			s.out.add("stdout", strings.Repeat("x", maxLogLine), ended)
		}
		s.cur.Phase, s.cur.Ended = api.PhaseClosed, &ended
		s.publish()
		close(s.done)
		f.b.keep(s.view.Load())
		f.b.mu.Lock()
		f.b.sessions[s.id] = s
		f.b.mu.Unlock()
	}
	f.b.trim()
	bytes := 0
	f.b.mu.Lock()
	for _, s := range f.b.sessions {
		bytes += s.out.size()
	}
	newest := f.b.sessions[fmt.Sprintf("old%03d", count-1)]
	f.b.mu.Unlock()
	if bytes > maxEndedOutput || bytes < maxEndedOutput/2 || newest == nil {
		t.Errorf("%d bytes are kept, the newest session's with them: %v", bytes, newest != nil)
	}
	if list, err := f.b.Sessions(true); err != nil || len(list) != count {
		t.Errorf("%d sessions are listed, want %d (%v)", len(list), count, err)
	}
}
