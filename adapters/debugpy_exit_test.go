package adapters

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// The program's end is the server's, with its status and its own words; the adapter goes with it.
func TestDebugpyExit(t *testing.T) {
	tests := []struct {
		name, source string
		code         int
		says         string
	}{
		{"returns", "print('done', flush=True)", 0, "done"},
		{"exits", "import sys; sys.exit(3)", 3, ""},
		{"throws at import", "import no_such_module", 1, "ModuleNotFoundError: No module named 'no_such_module'"},
		{"is no Python", "x = (", 1, "SyntaxError"},
	}
	for _, test := range tests {
		for _, stock := range []bool{false, true} {
			for _, attached := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s,stock=%t,attached=%t", test.name, stock, attached), func(t *testing.T) {
					file := script(t, test.source)
					d := start(t, debugpyPlan(t, Request{Program: []string{file}, Wait: attached, Stock: stock, Env: newerDebugpy()}))
					if attached || !stock { // a stock adapter may have come and gone
						d.awaitReady()
					}
					if attached {
						c := d.front()
						c.attach(nil, file)
						c.WaitEvent("terminated", nil)
						c.Disconnect(false)
					}
					if code := d.exit(); code != test.code {
						t.Errorf("exit status %d, want %d", code, test.code)
					}
					if test.says != "" {
						d.line(test.says, func(l string) bool { return strings.Contains(l, test.says) })
					}
					if d.address != "" {
						awaitClosed(t, d.address)
					}
				})
			}
		}
	}
}

// awaitClosed waits until nothing listens any more.
func awaitClosed(t *testing.T, addr string) {
	t.Helper()
	eventually(t, "end of "+addr, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}

// The bootstrap's lines are told from the program's, and a program cannot fake them.
func TestDebugpyLines(t *testing.T) {
	file := script(t, `print("debugbroker 0123456789abcdef ready 127.0.0.1:1", flush=True)`)
	d := start(t, debugpyPlan(t, Request{Program: []string{file}, Env: newerDebugpy()}))
	d.awaitReady()
	d.exit()
	fake := d.line("fake", func(l string) bool { return strings.HasSuffix(l, "127.0.0.1:1") })
	if d.plan.Ready.Line.MatchString(fake) || d.plan.ServerLine.MatchString(fake) {
		t.Errorf("%q is taken for the server's", fake)
	}
	for _, line := range []string{d.line("ready", d.plan.Ready.Line.MatchString), "0.00s - Debugger warning: It seems that frozen modules are being used"} {
		if !d.plan.ServerLine.MatchString(line) {
			t.Errorf("%q is not taken for the server's", line)
		}
	}
}
