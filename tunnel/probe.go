package tunnel

import (
	"context"
	"fmt"
	"time"
)

// probeTime is how long a connection may stay silent when there is reason to believe that it is dead. It is about what a laptop needs to
// take up its Wi-Fi again, and more than any line's round trip.
const probeTime = 3 * time.Second

// Probe is for whoever learns that links may have died without a word: the machine has slept, or its network is another. Every link is
// asked for an answer at once, and is lost where nothing at all comes from it for 3 s, long before its keepalives would tell. Every Keeper
// that waits dials at once. Probe does not wait for the outcome. reason says after what, for logs and errors.
func (p *Pool) Probe(reason string) {
	p.mu.Lock()
	var links []*Link
	for _, e := range p.entries {
		if isClosed(e.ready) && !e.over() {
			links = append(links, e.link)
		}
	}
	keepers := make([]*Keeper, 0, len(p.keepers))
	for k := range p.keepers {
		keepers = append(keepers, k)
	}
	p.mu.Unlock()
	p.log.Debug("probe", "reason", reason, "links", len(links))
	for _, l := range links {
		l.probe(reason)
	}
	for _, k := range keepers {
		k.nudge()
	}
}

// probe asks all connections of the link for an answer, and ends those that stay silent. It does not wait.
func (l *Link) probe(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.members {
		l.group.spawn(func() { m.conn.probe(reason) }) // false: the link has ended
	}
}

func (c *Conn) probe(reason string) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	rtt, err := c.Ping(ctx)
	for err == nil && rtt > time.Since(began) { // an answer to an older question may have been on its way before the reason was
		rtt, err = c.Ping(ctx)
	}
	// What keeps coming instead of an answer is life as well: the answer may stand behind much that is on its way.
	if err == nil || c.lost() || c.wire.silence() < probeTime/2 {
		return
	}
	c.abort(fmt.Errorf("no answer within %s after %s", probeTime, reason))
}
