package tunnel

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// slotQueue is how long a command waits for the end of another one where no further connection can be made.
	slotQueue = 15 * time.Second
	// growPause is how long nobody tries to make a further connection after one could not be made.
	growPause = 5 * time.Second
)

// grown is what came of the last try to make a further connection. Who holds the link's growing token has it.
type grown struct {
	err error
	at  time.Time
}

func (g *grown) note(err error) {
	g.err, g.at = fmt.Errorf("dial a further connection: %w", err), time.Now()
}

// tooSoon returns what the last try failed with where another one is not to be made: for some seconds, and for good where a person would
// have to answer or to mend something. Each try is a failed login at the server.
func (g *grown) tooSoon() error {
	if g.err != nil && (needsPerson(g.err) || time.Since(g.at) < growPause) {
		return g.err
	}
	return nil
}

// execInTurn runs a command line as soon as the server has room for it. Commands that wait do so one behind the other, and only the first
// of them asks the server. why tells why there is no further connection.
func (l *Link) execInTurn(ctx context.Context, line string, why error) (channel, error) {
	bounded, cancel := context.WithTimeout(ctx, slotQueue)
	defer cancel()
	select {
	case l.queue <- struct{}{}:
		defer func() { <-l.queue }()
	case <-l.ended:
		return nil, l.Err()
	case <-bounded.Done():
		return nil, l.noRoom(ctx, why)
	}
	for pause := slotPause; ; pause = min(2*pause, 10*slotPause) {
		select {
		case <-l.freed: // of before
		default:
		}
		m, err := l.reserve(true)
		if err != nil {
			return nil, err
		}
		ch, err := l.execOn(bounded, m, line)
		switch {
		case err != nil && bounded.Err() != nil:
			return nil, l.noRoom(ctx, why)
		case !errors.Is(err, errSessionRefused):
			return ch, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-l.freed: // a command has ended; the server may still count it for a moment
			pause = slotPause / 2
		case <-timer.C:
		case <-l.ended:
		case <-bounded.Done():
		}
		timer.Stop()
		if bounded.Err() != nil {
			return nil, l.noRoom(ctx, why)
		}
	}
}

// noRoom says that a command found no room in time, or that ctx has ended.
func (l *Link) noRoom(ctx context.Context, why error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause != nil {
		return l.cause
	}
	// That the further connection wants a person, or cannot be had, is not said of the host, whose link is well: its class stays out.
	return hinted(fmt.Errorf("run a command at %s: %w (MaxSessions), and no other connection: %s", l.members[0].conn.hop.name(), ErrFull, why),
		"close sessions there, raise MaxSessions in the server's sshd_config, or let it be logged in to without a person (a key in an agent)")
}
