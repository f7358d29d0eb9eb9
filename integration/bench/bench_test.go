package bench

import (
	"os"
	"testing"

	"github.com/debugbroker/debugbroker/integration/brokertest"
)

func TestMain(m *testing.M) { os.Exit(brokertest.Main(m)) }

// BenchmarkBroker is all there is, so that its tables come together at the end. One part alone: -bench Broker/open, -bench Broker/step/go.
func BenchmarkBroker(b *testing.B) {
	r := &report{}
	b.Run("step", func(b *testing.B) { benchSteps(b, r) })
	b.Run("open", func(b *testing.B) { benchOpens(b, r) })
	b.Run("attach", func(b *testing.B) { benchAttaches(b, r) })
	b.Run("list", func(b *testing.B) { benchList(b, r) })
	b.Run("idle", func(b *testing.B) { benchIdle(b, r) })
	b.Run("forward", func(b *testing.B) { benchForwards(b, r) })
	r.print()
}
