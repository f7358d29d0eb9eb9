package broker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestExpiryFollowsTheWallClock(t *testing.T) {
	for name, c := range map[string]struct {
		jump     time.Duration // of the wall clock, a minute after the start
		min, max time.Duration // by the monotonic clock
	}{
		"no jump":              {0, 8 * time.Hour, 8 * time.Hour},
		"asleep past its time": {12 * time.Hour, time.Minute, time.Minute + expiryLook},
		"asleep for a while":   {2 * time.Hour, 6 * time.Hour, 6 * time.Hour},
		"clock set back":       {-time.Hour, 9 * time.Hour, 9 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, cancel := context.WithCancelCause(t.Context())
				s := &session{cancel: cancel, b: &Broker{now: func() time.Time {
					if now := time.Now(); now.Sub(began) >= time.Minute {
						return now.Round(0).Add(c.jump)
					}
					return time.Now()
				}}}
				s.expire(ctx, began.Round(0).Add(8*time.Hour))
				if !errors.Is(context.Cause(ctx), errExpired) {
					t.Errorf("ended with %v", context.Cause(ctx))
				}
				if took := time.Since(began); took < c.min || took > c.max {
					t.Errorf("ended after %v, want %v to %v", took, c.min, c.max)
				}
			})
		})
	}
	t.Run("ended before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			s := &session{cancel: cancel, b: &Broker{now: time.Now}}
			time.AfterFunc(time.Minute, func() { cancel(errClosed) })
			s.expire(ctx, time.Now().Add(time.Hour))
			if !errors.Is(context.Cause(ctx), errClosed) {
				t.Errorf("ended with %v", context.Cause(ctx))
			}
		})
	})
}
