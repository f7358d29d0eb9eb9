package adapters

import (
	"fmt"
	"regexp"
	"testing"
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

var turns = regexp.MustCompile(`^turn \d+$`)

// A front end that comes and goes in a hurry, again and again, does not use the adapter up.
func TestDebugpyComeAndGo(t *testing.T) {
	file := script(t, ticking)
	d := launch(t, debugpyPlan(t, Request{Program: []string{file}, Env: newerDebugpy()}))
	for range 20 {
		d.front().Close()
		c := d.front()
		c.attach(nil, file)
		c.Close()
		d.afterLast()
	}
	d.goesOn(turns, 2)
}

// How a front end may leave, what it did before, and whether the program is to run then.
func TestDebugpyLeave(t *testing.T) {
	leaves := []struct {
		name string
		runs bool // the program runs then, though it was to wait for its front end
		ends bool // stock debugpy does not survive it
		do   func(c front, file string)
	}{
		{"connected only", false, true, func(c front, _ string) {}},
		{"greeted only", false, true, func(c front, _ string) { c.WaitEvent("output", nil) }},
		{"initialized only", false, true, func(c front, _ string) { c.Initialize() }},
		{"before configurationDone", false, false, func(c front, file string) { c.Initialize(); c.Attach(attachArguments(nil)); c.SetBreakpoints(file, 6) }},
		{"in the attach request", false, true, func(c front, file string) {
			c.Initialize()
			c.send("attach", dict{"request": "attach"})
		}},
		{"running", true, true, func(c front, file string) { c.attach(nil, file) }},
		{"at a breakpoint", true, false, func(c front, file string) { c.attach(nil, file, 6); c.stopped() }},
		{"in a request", true, true, func(c front, file string) {
			c.attach(nil, file, 6)
			s := c.stopped()
			c.send("evaluate", dict{"expression": "time.sleep(0.3)", "frameId": s.frame.Id, "context": "repl"})
		}},
		{"in a step", true, true, func(c front, file string) {
			c.attach(nil, file, 6)
			s := c.stopped()
			c.send("next", dict{"threadId": s.thread})
		}},
		{"by disconnect", true, false, func(c front, file string) {
			c.attach(nil, file, 6)
			c.stopped()
			c.Disconnect(false)
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
					d := launch(t, debugpyPlan(t, Request{Program: []string{file}, Wait: wait, Stock: stock, Env: newerDebugpy()}))
					c := d.front()
					leave.do(c, file)
					c.Close()
					d.afterLast()
					if leave.runs || !wait {
						d.goesOn(turns, 2)
					}
					c = d.front()
					c.attach(nil, file, 6)
					s := c.stopped()
					if leave.name == "in a step" && s.frame.Line != 6 {
						// Newer debugpy may end the step that its client did not live to see.
						c.Continue(s.thread)
						s = c.stopped()
					}
					if s.frame.Line != 6 || s.locals["value"] == "" {
						t.Fatalf("stopped at %+v with %v", s.frame, s.locals)
					}
					c.Close()
					d.afterLast()
					d.goesOn(turns, 2)
				})
			}
		}
	}
}
