package adapters

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

const counting = `import time
def step(i):
    a = i * 2
    b = a + 1
    return b
i = 0
while i < 1000000:
    i = step(i) - i
    time.sleep(0.0001)
`

func TestDebugpySession(t *testing.T) {
	for _, stock := range []bool{false, true} {
		t.Run(fmt.Sprintf("stock=%t", stock), func(t *testing.T) {
			file := script(t, counting)
			d := launch(t, debugpyPlan(t, Request{Program: []string{file}, Wait: true, Stock: stock, Env: newerDebugpy()}))
			for range 3 {
				c := d.front()
				c.attach(nil, file, 4)
				s := c.stopped()
				if s.frame.Line != 4 || s.locals["a"] == "" {
					t.Fatalf("stopped at %+v with %v", s.frame, s.locals)
				}
				s = c.next(s)
				if s.frame.Line != 5 || s.locals["b"] == "" {
					t.Fatalf("stepped to %+v with %v", s.frame, s.locals)
				}
				c.Close()
				d.afterLast()
			}
		})
	}
}

// steps takes as many steps as more says, and returns how long each took, sorted: next, stopped, threads, stackTrace, scopes, variables.
func steps(t testing.TB, stock bool, more func() bool) []time.Duration {
	t.Helper()
	file := script(t, counting)
	d := launch(t, debugpyPlan(t, Request{Program: []string{file}, Wait: true, Stock: stock, Env: newerDebugpy()}))
	c := d.front()
	c.attach(nil, file, 3)
	s := c.stopped()
	c.SetBreakpoints(file)
	var took []time.Duration
	for more() {
		begun := time.Now()
		s = c.next(s)
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return took
}

// The bound is far below what is measured (80 times), since machines that test are busy.
func TestDebugpyStepIsFast(t *testing.T) {
	p50 := map[bool]time.Duration{}
	for _, stock := range []bool{true, false} {
		left := 11
		p50[stock] = steps(t, stock, func() bool { left--; return left >= 0 })[5]
	}
	t.Logf("a step: stock %v, ours %v", p50[true], p50[false])
	if p50[true] < 5*p50[false] {
		t.Errorf("a step takes %v, stock %v", p50[false], p50[true])
	}
}

func BenchmarkDebugpyStep(b *testing.B) {
	p50 := map[bool]time.Duration{}
	for _, stock := range []bool{true, false} {
		b.Run(fmt.Sprintf("stock=%t", stock), func(b *testing.B) {
			took := steps(b, stock, b.Loop)
			p50[stock] = took[len(took)/2]
			b.ReportMetric(float64(p50[stock].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			if p50[true] > 0 && !stock {
				b.ReportMetric(float64(p50[true])/float64(p50[false]), "ratio")
			}
		})
	}
}
