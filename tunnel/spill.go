package tunnel

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// exec runs a command line on a connection of the link that has room for it, and dials a further one where none has.
func (l *Link) exec(ctx context.Context, line string) (channel, error) {
	for {
		m, err := l.reserve()
		if err != nil {
			return nil, err
		}
		if m == nil {
			if err := l.grow(ctx); err != nil {
				return nil, err
			}
			continue
		}
		cmd, err := m.conn.exec(ctx, line, func(opened bool) { l.sessionEnded(m, opened) })
		switch {
		case err == nil:
			l.mu.Lock()
			m.served = true
			l.mu.Unlock()
			return cmd, nil
		case !errors.Is(err, errSessionRefused):
			return nil, err
		}
		if !l.markFull(m) {
			return nil, hinted(fmt.Errorf("%w: open a session at %s: %w", ErrForbidden, m.conn.hop.name(), err),
				"the server refuses even the first command of a connection: MaxSessions in its sshd_config, or a limit of processes there")
		}
	}
}

// reserve counts a session up on the connection with the fewest, of those with room; nil where none has.
func (l *Link) reserve() (*member, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause != nil {
		return nil, l.cause
	}
	var best *member
	for _, m := range l.members {
		if !m.fullAt.IsZero() && time.Since(m.fullAt) < fullFor {
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
		return first.noMoreConns()
	}
	if conns >= maxLinkConns {
		return hinted(fmt.Errorf("%w: %d connections are full of sessions", ErrForbidden, conns),
			"close sessions, or raise MaxSessions in the server's sshd_config")
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
	conn, err := l.dialMore(ctx)
	if err != nil {
		if isClosed(l.ended) {
			return l.Err()
		}
		return wrapHinted("dial a further connection", err)
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
