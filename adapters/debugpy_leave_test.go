package adapters

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// ticking prints a line each turn.
const ticking = `import time
turn = 0
while True:
    turn += 1
    value = "turn %d" % turn
    print(value, flush=True)
    time.sleep(0.02)
`

// afterLast runs the plan's exchange as the broker does when the last front end has gone.
func (d *debuggee) afterLast() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), dapPatience)
	defer cancel()
	begun := time.Now()
	err := d.plan.AfterLast(ctx, d.dial)
	if err != nil {
		d.t.Fatalf("AfterLast: %v", err)
	}
	d.t.Logf("AfterLast took %v", time.Since(begun).Round(time.Millisecond))
}

// moves awaits two more lines of output.
func (d *debuggee) moves() {
	d.t.Helper()
	d.mu.Lock()
	have := len(d.out)
	d.mu.Unlock()
	seen := 0
	d.line("further output", func(string) bool { seen++; return seen > have+1 })
}

// A front end that comes and goes in a hurry, again and again, does not use the adapter up.
func TestDebugpyComeAndGo(t *testing.T) {
	file := script(t, ticking)
	d := launch(t, Request{Program: []string{file}, Env: newerDebugpy()})
	for range 20 {
		dialDAP(t, d.addr).drop()
		c := dialDAP(t, d.addr)
		c.attach(nil, file)
		c.drop()
		d.afterLast()
	}
	d.moves()
}

// How a front end may leave, what it did before, and whether the program is to run then.
func TestDebugpyLeave(t *testing.T) {
	leaves := []struct {
		name string
		runs bool // the program runs then, though it was to wait for its front end
		ends bool // stock debugpy does not survive it
		do   func(c *dapClient, file string)
	}{
		{"connected only", false, true, func(c *dapClient, _ string) {}},
		{"greeted only", false, true, func(c *dapClient, _ string) { c.event("output") }},
		{"initialized only", false, true, func(c *dapClient, _ string) { c.ask("initialize", dict{"adapterID": "python"}, nil) }},
		{"before configurationDone", false, false, func(c *dapClient, file string) { c.begin(nil); c.breakpoints(file, 6) }},
		{"in the attach request", false, true, func(c *dapClient, file string) {
			c.ask("initialize", dict{"adapterID": "python"}, nil)
			c.send("attach", dict{})
		}},
		{"running", true, true, func(c *dapClient, file string) { c.attach(nil, file) }},
		{"at a breakpoint", true, false, func(c *dapClient, file string) { c.attach(nil, file, 6); c.stopped() }},
		{"in a request", true, true, func(c *dapClient, file string) {
			c.attach(nil, file, 6)
			s := c.stopped()
			c.send("evaluate", dict{"expression": "time.sleep(0.3)", "frameId": s.frames[0].Id, "context": "repl"})
		}},
		{"in a step", true, true, func(c *dapClient, file string) {
			c.attach(nil, file, 6)
			s := c.stopped()
			c.send("next", dict{"threadId": s.thread})
		}},
		{"by disconnect", true, false, func(c *dapClient, file string) {
			c.attach(nil, file, 6)
			c.stopped()
			c.ask("disconnect", dict{"terminateDebuggee": false}, nil)
		}},
	}
	for _, stock := range []bool{false, true} {
		for _, wait := range []bool{true, false} {
			for _, leave := range leaves {
				if stock && (leave.ends || !wait) {
					continue // its adapter ends then, or cannot be met at all
				}
				t.Run(fmt.Sprintf("stock=%t,wait=%t/%s", stock, wait, leave.name), func(t *testing.T) {
					file := script(t, ticking)
					d := launch(t, Request{Program: []string{file}, Wait: wait, Stock: stock, Env: newerDebugpy()})
					c := dialDAP(t, d.addr)
					leave.do(c, file)
					c.drop()
					d.afterLast()
					if leave.runs || !wait {
						d.moves()
					}
					c = dialDAP(t, d.addr)
					c.attach(nil, file, 6)
					s := c.stopped()
					if leave.name == "in a step" && s.frames[0].Line != 6 {
						// Newer debugpy may end the step that its client did not live to see.
						c.ask("continue", dict{"threadId": s.thread}, nil)
						s = c.stopped()
					}
					if s.frames[0].Line != 6 || s.locals["value"] == "" {
						t.Fatalf("stopped at %+v with %v", s.frames[0], s.locals)
					}
					c.drop()
					d.afterLast()
					d.moves()
				})
			}
		}
	}
}
