package brokertest

import (
	"context"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/sandbox"
)

// leftoversLimit is how long what was ended may take to be gone.
const leftoversLimit = 20 * time.Second

// Leftovers tells what came into being since it was taken: processes that bear a Broker's mark, TCP ports on which they or the daemon
// listen, files in the TMPDIR of what the Broker starts, workspaces.
type Leftovers struct {
	t     testing.TB
	stock *sandbox.Stock
}

// Leftovers takes stock. Check then tells what has been added. The daemon itself is not a leftover, what it listens on is.
func (b *Broker) Leftovers() Leftovers {
	b.t.Helper()
	stock, err := sandbox.Take(b.mark, b.temp, b.isDaemon)
	if err != nil {
		b.t.Fatal(err)
	}
	return Leftovers{b.t, stock}
}

// Check waits until nothing is left, and fails the test with the names of what is if that does not come to pass.
func (l Leftovers) Check() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), leftoversLimit)
	defer cancel()
	left, err := l.stock.Left(ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, what := range left {
		l.t.Errorf("left behind: %s", what)
	}
}
