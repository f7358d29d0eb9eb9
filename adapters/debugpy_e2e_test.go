package adapters

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// newerDebugpy is a directory from which another debugpy is imported, for trying a version that is not installed.
func newerDebugpy() []string {
	if dir := os.Getenv("DEBUGPY_PATH"); dir != "" {
		return []string{"PYTHONPATH=" + dir}
	}
	return nil
}

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
			d := launch(t, Request{Program: []string{file}, Wait: true, Stock: stock, Env: newerDebugpy()})
			for range 3 {
				c := dialDAP(t, d.addr)
				c.attach(nil, file, 4)
				s := c.stopped()
				if s.frames[0].Line != 4 || s.locals["a"] == "" {
					t.Fatalf("stopped at %+v with %v", s.frames[0], s.locals)
				}
				s = c.next(s.thread)
				if s.frames[0].Line != 5 || s.locals["b"] == "" {
					t.Fatalf("stepped to %+v with %v", s.frames[0], s.locals)
				}
				c.drop()
				d.afterLast()
			}
			t.Log(d.output())
		})
	}
}

func BenchmarkDebugpyStep(b *testing.B) {
	median := map[bool]time.Duration{}
	for _, stock := range []bool{true, false} {
		b.Run(fmt.Sprintf("stock=%t", stock), func(b *testing.B) {
			file := script(b, counting)
			d := launch(b, Request{Program: []string{file}, Wait: true, Stock: stock, Env: newerDebugpy()})
			c := dialDAP(b, d.addr)
			c.attach(nil, file, 3)
			s := c.stopped()
			c.breakpoints(file)
			var took []time.Duration
			for b.Loop() {
				begun := time.Now()
				s = c.next(s.thread)
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			median[stock] = took[len(took)/2]
			b.ReportMetric(float64(median[stock].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
	if median[false] > 0 {
		b.Logf("a step: stock %v, ours %v, ratio %.1f", median[true], median[false], float64(median[true])/float64(median[false]))
	}
}
