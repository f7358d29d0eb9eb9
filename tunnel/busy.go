package tunnel

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// busyTime is how long a server that takes no new connections just now is asked again. Logins last a second or two, and make room then.
	busyTime = 30 * time.Second
	// firstBusyPause and longestBusyPause bound the pauses in between, each of which is anything from nothing to the bound: those who were refused
	// together must not come back together, of whom the server (MaxStartups) takes but a few.
	firstBusyPause   = 500 * time.Millisecond
	longestBusyPause = 5 * time.Second
)

// dialPatiently is dial, again and again for some time where the server is busy with other logins (ErrBusy).
func dialPatiently(ctx context.Context, dial func(context.Context) (*Conn, error), tell func(string)) (*Conn, error) {
	pauses := &backoff.ExponentialBackOff{InitialInterval: firstBusyPause / 2, MaxInterval: longestBusyPause / 2, Multiplier: 2, RandomizationFactor: 1}
	pauses.Reset()
	began := time.Now()
	for {
		conn, err := dial(ctx)
		pause := pauses.NextBackOff()
		if !errors.Is(err, ErrBusy) || time.Since(began)+pause > busyTime {
			return conn, err
		}
		tell("waiting for the server to take new connections: " + err.Error())
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}
