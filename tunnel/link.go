package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	defaultAliveInterval = 15 * time.Second
	defaultAliveCount    = 3
	// maxLinkConns bounds the connections of one link; with sshd's default of 10 sessions each that is 320 commands.
	maxLinkConns = 32
	// spareIdle is how long a further connection without sessions is kept.
	spareIdle = 30 * time.Second
	// fullFor is how long a connection that refused a session is not asked again where none of its sessions ends: the server
	// may still count a command whose channel we have closed.
	fullFor = 5 * time.Second
)

// Link is the set of connections to one Target that are in use together: one, and further ones where the server allows no
// more sessions on those that there are. Forwarded connections go over the first. It is lost as a whole: the end of any of
// its connections ends it, and every operation on it fails with ErrLinkLost.
type Link struct {
	log      hclog.Logger
	dialMore func(context.Context) (*Conn, error)
	interval time.Duration
	count    int
	idle     time.Duration

	dead    chan error    // the first connection that ended, to Run
	growing chan struct{} // a token: one further connection is dialled at a time
	grown   grown
	queue   chan struct{} // a token: of the commands that wait for room, this one asks
	freed   chan struct{} // tapped when a session has ended
	group   group
	ended   chan struct{} // closed once cause is set

	mu      sync.Mutex // guards all below
	members []*member
	cause   error // why the link has ended
}

// member is one connection of a link. The link's mu guards its fields.
type member struct {
	conn     *Conn
	sessions int           // commands that run, or are about to
	served   bool          // a session was opened on it at some time
	fullAt   time.Time     // when it refused a session; zero where it has room as far as we know
	idleFrom time.Time     // when its last session ended
	rtt      time.Duration // smoothed; 0 before the first answer
	retired  bool          // closed by us since nobody needs it: its end is no loss
}

// newLink makes a link of its first connection. dialMore makes a further one to the same target. Run must be called.
func newLink(first *Conn, hop Hop, dialMore func(context.Context) (*Conn, error), log hclog.Logger) *Link {
	l := &Link{
		log: log, dialMore: dialMore, interval: hop.ServerAliveInterval, count: hop.ServerAliveCountMax, idle: spareIdle,
		dead: make(chan error, 1), growing: make(chan struct{}, 1), ended: make(chan struct{}),
		queue: make(chan struct{}, 1), freed: make(chan struct{}, 1),
	}
	if l.interval <= 0 {
		l.interval = defaultAliveInterval
	}
	if l.count <= 0 {
		l.count = defaultAliveCount
	}
	l.add(first)
	return l
}

// Run watches the link until it is lost, which it returns as an error that wraps ErrLinkLost, or ctx is done, when it closes
// it and returns nil. All connections are closed and all goroutines ended when it returns.
func (l *Link) Run(ctx context.Context) error {
	tick := time.NewTicker(max(l.idle/2, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			l.shut(fmt.Errorf("%w: closed here", ErrLinkLost))
			return nil
		case err := <-l.dead:
			l.shut(err)
			return err
		case now := <-tick.C:
			l.retireIdle(now)
		}
	}
}

// shut ends the link: first its users learn of it, then the connections go.
func (l *Link) shut(cause error) {
	l.mu.Lock()
	l.cause = cause
	members := l.members
	l.members = nil
	l.mu.Unlock()
	close(l.ended)
	for _, m := range members {
		m.conn.abort(cause)
	}
	for _, m := range members {
		_ = m.conn.Close()
	}
	l.group.wait()
}

// add takes a connection into the link and watches it. It returns nil, and closes the connection, where the link has ended.
func (l *Link) add(conn *Conn) *member {
	m := &member{conn: conn, idleFrom: time.Now()}
	l.mu.Lock()
	if l.cause == nil && l.group.spawn(func() { l.watch(m) }) {
		l.members = append(l.members, m)
		l.mu.Unlock()
		return m
	}
	l.mu.Unlock()
	_ = conn.Close()
	return nil
}

// watch keeps asking the server of one connection for an answer. As with ssh's ServerAliveCountMax, count intervals without
// one, and without anything else from there, end the connection.
func (l *Link) watch(m *member) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	missed := 0
	for {
		select {
		case <-m.conn.Done():
			l.report(m)
			return
		case <-timer.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), l.interval)
		rtt, err := m.conn.Ping(ctx)
		cancel()
		switch {
		case err == nil:
			if missed == 0 { // else it is the rest of an older wait
				l.mu.Lock()
				m.rtt = smoothed(m.rtt, rtt)
				l.mu.Unlock()
			}
			missed = 0
			timer.Reset(l.interval)
			continue
		case !errors.Is(err, context.DeadlineExceeded):
			continue // the connection has ended; Done tells
		case m.conn.wire.silence() < l.interval:
			missed = 0 // busy, but alive
		default:
			missed++
		}
		if missed >= l.count {
			m.conn.abort(fmt.Errorf("no answer for %s", l.interval*time.Duration(l.count)))
			continue
		}
		timer.Reset(0)
	}
}

// report tells Run of the end of a connection, unless we ended it ourselves.
func (l *Link) report(m *member) {
	l.mu.Lock()
	retired := m.retired
	l.mu.Unlock()
	if retired {
		return
	}
	select {
	case l.dead <- m.conn.Err():
	default: // another one was first
	}
}

// smoothed is a round trip after a further measurement, which counts for an eighth, as TCP has it (RFC 6298, 2.3): one answer that was held
// up says little of the line.
func smoothed(rtt, measured time.Duration) time.Duration {
	if rtt == 0 {
		return measured
	}
	return rtt + (measured-rtt)/8
}

// RTT is the round trip over the first connection, smoothed over its keepalives: what a question to the SSH server takes, so the way
// through all hops is in it, and a server's slowness. It is 0 before the first answer.
func (l *Link) RTT() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.members) == 0 {
		return 0
	}
	return l.members[0].rtt
}

// Conns is the number of connections that the link has.
func (l *Link) Conns() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.members)
}

// Done is closed when the link is lost or closed.
func (l *Link) Done() <-chan struct{} { return l.ended }

// Err is nil until Done is closed, and wraps ErrLinkLost from then on.
func (l *Link) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

func (l *Link) done() <-chan struct{} { return l.Done() }
func (l *Link) err() error            { return l.Err() }

// first is the connection over which forwards go; nil where the link has ended.
func (l *Link) first() *Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.members) == 0 {
		return nil
	}
	return l.members[0].conn
}

// dial connects from the far side to an address there.
func (l *Link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	first := l.first()
	if first == nil {
		return nil, l.Err()
	}
	return first.Dial(ctx, network, address)
}
