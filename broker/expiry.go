package broker

import (
	"context"
	"time"
)

// expiryLook is how often the wall clock is looked at: a timer stands still while the machine sleeps, and does not follow a clock that
// is set.
const expiryLook = 15 * time.Second

// expire ends the session when its time is up, unless ctx is done before. expires has no monotonic part (it was truncated), so that it
// is the wall clock that counts.
func (s *session) expire(ctx context.Context, expires time.Time) {
	for {
		left := expires.Sub(s.b.now())
		if left <= 0 {
			s.cancel(errExpired)
			return
		}
		t := time.NewTimer(min(left, expiryLook))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}
