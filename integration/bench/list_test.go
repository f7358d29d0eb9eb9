package bench

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/tools"
)

const (
	listCount  = 20
	listWarmUp = 2
)

// benchList is the time of the shortest question to the daemon, against that of a process that starts and says its version.
func benchList(b *testing.B, r *report) {
	ssh := tools.Need(b, tools.SSH)
	warm := brokertest.New(b, brokertest.Options{})
	cold := brokertest.New(b, brokertest.Options{})
	timed := func(what func()) time.Duration {
		began := time.Now()
		what()
		return time.Since(began)
	}
	version := func() {
		if out, err := exec.CommandContext(b.Context(), ssh, "-V").CombinedOutput(); err != nil {
			b.Fatalf("ssh -V: %v\n%s", err, out)
		}
	}
	var base, up, fresh samples
	ways := []func(){
		func() { base = append(base, timed(version)) },
		func() { up = append(up, timed(func() { warm.OK("list") })) },
		func() { fresh = append(fresh, timed(func() { cold.OK("list") })); cold.OK("stop") },
	}
	for i := range listWarmUp + listCount {
		for j := range ways {
			ways[(i+j)%len(ways)]()
		}
	}
	rows := [][]string{{"command", "p50", "worst", "over ssh -V (p50)"}}
	for _, w := range []struct {
		name string
		took samples
	}{{"ssh -V", base[listWarmUp:]}, {"brokerctl list, daemon up", up[listWarmUp:]}, {"brokerctl list, daemon started", fresh[listWarmUp:]}} {
		rows = append(rows, []string{w.name, ms(w.took.p50()), ms(w.took.at(1)), ms(w.took.p50() - base[listWarmUp:].p50())})
	}
	r.table(fmt.Sprintf("brokerctl list without sessions, against a process that only starts, %d each, in turns", listCount), rows)
	metric(b, float64(up[listWarmUp:].p50().Microseconds())/1000, "ms-warm")
	b.ReportMetric(float64(fresh[listWarmUp:].p50().Microseconds())/1000, "ms-cold")
}
