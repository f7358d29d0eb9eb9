package tunnel

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// exec runs a command line on a connection of the link that has room for it, and dials a further one where none has. Where that cannot be
// had, the command waits for the end of another one.
func (l *Link) exec(ctx context.Context, line string) (channel, error) {
	for {
		m, err := l.reserve(false)
		if err != nil {
			return nil, err
		}
		if m == nil {
			switch err := l.grow(ctx); {
			case err == nil:
				continue
			case isClosed(l.ended), ctx.Err() != nil:
				return nil, err
			default:
				return l.execInTurn(ctx, line, err)
			}
		}
		if ch, err := l.execOn(ctx, m, line); !errors.Is(err, errSessionRefused) {
			return ch, err
		}
	}
}

// execOn runs a command line on one connection, on which a session is reserved. It returns errSessionRefused where there is no room.
func (l *Link) execOn(ctx context.Context, m *member, line string) (channel, error) {
	cmd, err := m.conn.exec(ctx, line, func(opened bool) { l.sessionEnded(m, opened) })
	switch {
	case err == nil:
		l.mu.Lock()
		m.served = true
		l.mu.Unlock()
		return cmd, nil
	case errors.Is(err, errSessionRefused) && !l.markFull(m):
		return nil, hinted(fmt.Errorf("%w: open a session at %s: %s", ErrForbidden, m.conn.hop.name(), err),
			"the server refuses even the first command of a connection: MaxSessions in its sshd_config, or a limit of processes there")
	default:
		return nil, err
	}
}

// reserve counts a session up on the connection with the fewest, of those with room, or of all; nil where none has room.
func (l *Link) reserve(all bool) (*member, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause != nil {
		return nil, l.cause
	}
	var best *member
	for _, m := range l.members {
		if !all && !m.fullAt.IsZero() && time.Since(m.fullAt) < fullFor {
			continue
		}
		if best == nil || m.sessions < best.sessions {
			best = m
		}
	}
	if best != nil {
		best.sessions++
	}
	return best, nil
}

// sessionEnded counts a session down. Where there was one, there may be room again.
func (l *Link) sessionEnded(m *member, opened bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.sessions--
	if opened {
		m.fullAt = time.Time{}
		tap(l.freed)
	}
	if m.sessions == 0 {
		m.idleFrom = time.Now()
	}
}

// markFull notes that a connection refused a session. It returns false where the connection never had one nor is about to:
// then a further connection would be no better.
func (l *Link) markFull(m *member) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.fullAt = time.Now()
	return m.served || m.sessions > 0
}

// grow dials a further connection, unless another caller's has made room in the meantime.
func (l *Link) grow(ctx context.Context) error {
	select {
	case l.growing <- struct{}{}:
		defer func() { <-l.growing }()
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ended:
		return l.Err()
	}
	l.mu.Lock()
	if len(l.members) == 0 {
		defer l.mu.Unlock()
		return l.cause
	}
	room, conns, first := false, len(l.members), l.members[0].conn
	for _, m := range l.members {
		room = room || m.fullAt.IsZero()
	}
	l.mu.Unlock()
	if room {
		return nil
	}
	if first.master != "" {
		return fmt.Errorf("it goes over the ControlMaster at %s, which has one connection", first.master)
	}
	if conns >= maxLinkConns {
		return fmt.Errorf("there are %d already", conns)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !l.group.spawn(func() {
		select {
		case <-l.ended:
			cancel()
		case <-ctx.Done():
		}
	}) {
		return l.Err()
	}
	if err := l.grown.tooSoon(); err != nil {
		return err
	}
	conn, err := l.dialMore(ctx)
	if err != nil {
		if isClosed(l.ended) {
			return l.Err()
		}
		if ctx.Err() == nil {
			l.grown.note(err)
		}
		return fmt.Errorf("dial a further connection: %w", err)
	}
	if l.add(conn) == nil {
		return l.Err()
	}
	l.log.Debug("further ssh connection, the others are full of sessions", "host", conn.hop.name(), "connections", conns+1)
	return nil
}

// retireIdle closes further connections that have had no session for a while.
func (l *Link) retireIdle(now time.Time) {
	var idle []*Conn
	l.mu.Lock()
	for i := len(l.members) - 1; i > 0; i-- {
		if m := l.members[i]; m.sessions == 0 && now.Sub(m.idleFrom) >= l.idle {
			m.retired = true
			idle = append(idle, m.conn)
			l.members = append(l.members[:i:i], l.members[i+1:]...)
		}
	}
	l.mu.Unlock()
	for _, conn := range idle {
		_ = conn.Close()
	}
}
