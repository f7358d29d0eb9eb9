package tunnel

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/executable"
)

// suiteReapGdb ends a debugger that has a gdb inject code into a program. The gdb here is a shell of that name, which works for a while
// and then says so: neither it nor who waits for it may be signalled before.
func suiteReapGdb(t *testing.T, h Host) {
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		gdb      string // what it does between "up" and its end
		done     bool   // it comes to the end of its work
		least    time.Duration
		stays    bool
		reaped   bool // by Reap, not by the lifeline
		ofSpares bool
	}{
		"works":                {gdb: "sleep 2", done: true, least: time.Second, reaped: true},
		"works, lifeline":      {gdb: "sleep 2", done: true, least: time.Second},
		"works for a spare":    {gdb: "sleep 2", done: true, least: time.Second, reaped: true, ofSpares: true},
		"hangs":                {gdb: "trap 'exit' TERM; while :; do sleep 0.2; done", least: 4 * time.Second, reaped: true},
		"hangs and is patient": {gdb: "trap '' TERM; while :; do sleep 0.2; done", least: 9 * time.Second, reaped: true, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			executable.Write(t, dir+"/gdb", shell)
			ws := suiteDir(t, h)
			gdb := fmt.Sprintf("trap 'echo hit >>%[1]s/hit' TERM; trap 'echo $? >>%[1]s/done' EXIT; echo $$; %[2]s", dir, test.gdb)
			if test.done {
				gdb += "; : end"
			}
			p, err := h.Start(suiteContext(t), Spec{Workspace: ws, Spare: test.ofSpares, Argv: []string{"/bin/sh", "-c",
				fmt.Sprintf("trap 'echo hit >>%[1]s/hit; exit' TERM; %[1]s/gdb -c \"$1\" & wait; echo waited >>%[1]s/waited; while :; do sleep 0.2; done", dir), "sh", gdb}})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Release()
			id := identify(t, linePID(t, p.Stdout()))
			began := time.Now()
			if test.reaped {
				left, err := h.Reap(suiteContext(t), ws)
				if err != nil || (len(left) > 0) != test.stays {
					t.Errorf("left %q, %v", left, err)
				}
			} else {
				p.Release()
				eventually(t, "the workspace is gone", func() bool { return !exists(ws) })
			}
			if took := time.Since(began); took < test.least {
				t.Errorf("over after %s", took)
			}
			if test.done && (!exists(dir+"/done") || !exists(dir+"/waited")) {
				t.Error("it was ended in the midst of its work")
			}
			if runs(id) != test.stays || runs(p.ID()) {
				t.Errorf("gdb runs: %v, its parent: %v", runs(id), runs(p.ID()))
			}
			if test.stays {
				gdb, err := os.FindProcess(id.PID)
				if err != nil {
					t.Fatal(err)
				}
				gdb.Kill()
			}
		})
	}
}
