package tunnel

import (
	"context"
	"errors"
	"net"
	"time"
)

// slotWait is how long a connection that opens no further session is asked again: the server may still count a command whose channel
// we have closed.
const (
	slotWait  = 5 * time.Second
	slotPause = 50 * time.Millisecond
)

// connCarrier is one connection as a carrier. It dials no further one where the server allows no more sessions on it.
type connCarrier struct{ conn *Conn }

func (c connCarrier) exec(ctx context.Context, line string) (channel, error) {
	giveUp := time.Now().Add(slotWait)
	for {
		cmd, err := c.conn.exec(ctx, line, func(bool) {})
		if err == nil {
			return cmd, nil
		}
		if !errors.Is(err, errSessionRefused) || time.Now().After(giveUp) {
			return nil, err
		}
		select {
		case <-time.After(slotPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c connCarrier) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return c.conn.Dial(ctx, network, address)
}

func (c connCarrier) done() <-chan struct{} { return c.conn.Done() }
func (c connCarrier) err() error            { return c.conn.Err() }
