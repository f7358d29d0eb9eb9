package broker

import (
	"sync"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// maxEvents is how many events are kept; the oldest go first.
const maxEvents = 2000

// events is what happened, oldest first.
type events struct {
	tracker Tracker

	mu    sync.Mutex
	list  []api.Event
	first int // sequence number of list[0]
}

func (e *events) add(session, kind, text string) {
	e.mu.Lock()
	e.list = append(e.list, api.Event{Time: time.Now().UTC(), Session: session, Kind: kind, Text: text})
	if drop := len(e.list) - maxEvents; drop > 0 {
		clear(e.list[:drop])
		e.list = e.list[drop:] // append moves the rest when it needs room
		e.first += drop
	}
	e.mu.Unlock()
	e.tracker.Bump()
}

// since returns the events from sequence number n on and the number to ask with next.
func (e *events) since(n int) ([]api.Event, int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	skip := min(max(n-e.first, 0), len(e.list))
	return append([]api.Event(nil), e.list[skip:]...), e.first + len(e.list)
}
