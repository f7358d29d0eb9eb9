package broker

import (
	"context"
	"fmt"
	"time"
)

// expiryLook is how often the wall clock is looked at: a timer stands still while the machine sleeps, and does not follow a clock that
// is set.
const expiryLook = 15 * time.Second

// expiryWarnings is how long before its end a session's user is told of it: each time that is still ahead when the end is set.
var expiryWarnings = [...]time.Duration{5 * time.Minute, time.Minute, 10 * time.Second}

// expire ends the session when its time is up, unless ctx is done before, and gives notice of it on s.expiring. expires has no monotonic
// part (it was truncated), so that it is the wall clock that counts. What comes by s.deadline takes its place.
func (s *session) expire(ctx context.Context, expires time.Time) {
	left := expires.Sub(s.b.now())
	stage, next := warningStage(left)
	for {
		if left <= 0 {
			s.cancel(errExpired)
			return
		}
		t := time.NewTimer(min(left-next, expiryLook))
		extended := false
		select {
		case <-t.C:
		case expires = <-s.deadline:
			extended = true
		case <-ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
		left = expires.Sub(s.b.now())
		before := stage
		if stage, next = warningStage(left); stage > before && !extended && left > 0 {
			select {
			case s.expiring <- struct{}{}:
			default: // run has not come to the one before yet, and will tell of the time that is left then
			}
		}
	}
}

// warningStage counts the warnings whose time has come when left is left, and tells when the next is due: at that much left.
func warningStage(left time.Duration) (stage int, next time.Duration) {
	for i, w := range expiryWarnings {
		if left > w {
			return i, w
		}
	}
	return len(expiryWarnings), 0
}

// warnExpiry tells of the coming end of a session that is ready.
func (s *session) warnExpiry(r *rig) {
	left := s.cur.Expires.Sub(s.b.now()).Round(time.Second)
	text := fmt.Sprintf("the session's time is up in %s", left)
	s.b.events.add(s.id, "expiring", text)
	r.proxy.Tell(fmt.Sprintf("debugbroker: %s; brokerctl extend %s --ttl 1h gives it more", text, s.id))
}
