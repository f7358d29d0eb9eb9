//go:build !linux

package tunnel

import "time"

// newClockLead compares the wall clock with the monotonic clock of package time, which stands still in sleep.
func newClockLead() func() []time.Duration {
	start := time.Now() // a reading of both
	return func() []time.Duration {
		now := time.Now()
		return []time.Duration{now.Round(0).Sub(start.Round(0)) - now.Sub(start)}
	}
}

// defaultRoutes leaves routes out: a change of them comes with one of the addresses, or is found out by the keepalives.
func defaultRoutes() []string { return nil }
