package tunnel

import (
	"sync"
	"testing"
	"time"
)

// A connection is cut while channels are being opened: Close returns, whatever moment the cut has met. x/crypto would wait for ever for the
// answer to some.
func TestCutWhileOpening(t *testing.T) {
	server, hop := testBox(t)
	relay, hop := behindCutter(t, server, hop)
	var d Dialer
	for round := range 100 {
		conn, err := d.Dial(t.Context(), NewTarget([]Hop{hop}), Caller{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var openers sync.WaitGroup
		for range 4 {
			openers.Go(func() {
				for !conn.lost() {
					_, _, _ = conn.ssh.OpenChannel(pingChannel, nil)
				}
				_, _, _ = conn.ssh.OpenChannel(pingChannel, nil)
			})
		}
		for range round % 5 {
			_, _ = conn.Ping(t.Context())
		}
		relay.Cut()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			openers.Wait()
			_ = conn.Close()
		}()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Fatalf("round %d: a channel is still being opened on a connection that was cut", round)
		}
	}
}
