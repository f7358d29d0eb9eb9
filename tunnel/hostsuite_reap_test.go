package tunnel

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

func suiteReap(t *testing.T, h Host) {
	for name, test := range map[string]struct {
		text  string // prints the pids that must be gone
		pids  int
		spare bool
	}{
		"plain":           {"echo $$; exec sleep 1000", 1, false},
		"ignores TERM":    {"trap '' TERM; echo $$; while :; do sleep 1; done", 1, false},
		"children":        {"sleep 1000 & echo $!; sleep 1001 & echo $!; echo $$; wait", 3, false},
		"grandchildren":   {"(sleep 1000 & echo $!; sleep 1001 & echo $!); echo $$; exec sleep 1002", 3, false},
		"stubborn heir":   {"(trap '' TERM; sh -c 'echo $$; while :; do sleep 1; done') & echo $$; exec sleep 1000", 2, false},
		"setsid children": {"setsid sh -c 'echo $$; sleep 1000 & echo $!; wait' & echo $$; wait", 3, false},
		"stopped":         {"echo $$; kill -STOP $$", 1, false},
		"zombie child":    {"sh -c 'echo $$; exit' & echo $$; exec sleep 1000", 2, false},
		"spare":           {"sh -c \"trap '' TERM; echo \\$\\$; while :; do sleep 1; done\" & trap 'wait; exit' TERM; echo $$; wait", 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := suiteDir(t, h)
			p, err := h.Start(suiteContext(t), Spec{Workspace: ws, Argv: []string{"/bin/sh", "-c", test.text}, Spare: test.spare})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Release()
			var ids []ProcessID
			for range test.pids {
				if pid := linePID(t, p.Stdout()); exists(fmt.Sprintf("/proc/%d/stat", pid)) {
					ids = append(ids, identify(t, pid))
				}
			}
			if id := p.ID(); id != identify(t, id.PID) {
				t.Errorf("identity %v, in the process table %v", id, identify(t, id.PID))
			}
			left, err := h.Reap(suiteContext(t), ws)
			if err != nil || len(left) != 0 {
				t.Errorf("left %q, %v", left, err)
			}
			for _, id := range ids {
				if runs(id) {
					t.Errorf("%v runs", id)
				}
			}
			exit, err := p.Wait(suiteContext(t))
			if err != nil || test.spare && exit.Signal == "KILL" {
				t.Errorf("exit %v, %v", exit, err)
			}
			if rest := members(p.ID().PID); len(rest) != 0 {
				t.Errorf("in its session: %v", rest)
			}
			if exists(ws) {
				t.Error("the directory is there")
			}
			if left, err := h.Reap(suiteContext(t), ws); err != nil || len(left) != 0 {
				t.Errorf("again: left %q, %v", left, err)
			}
		})
	}
	t.Run("stubborn spare", func(t *testing.T) {
		t.Parallel()
		ws := suiteDir(t, h)
		p, err := h.Start(suiteContext(t), Spec{Workspace: ws, Spare: true, Argv: []string{"/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Release()
		readLine(t, p.Stdout())
		left, err := h.Reap(suiteContext(t), ws)
		want := fmt.Sprintf("process %d (sh)", p.ID().PID)
		// A child that it has just made may be there, too.
		if err != nil || !slices.Contains(left, want) || !slices.Contains(left, "directory "+ws) || !runs(p.ID()) {
			t.Errorf("left %q, %v", left, err)
		}
		self, err := os.FindProcess(p.ID().PID)
		if err != nil {
			t.Fatal(err)
		}
		self.Kill()
	})
	t.Run("wrong start time, wrong boot, nonsense", func(t *testing.T) {
		victim := suiteSh(t, h, suiteDir(t, h), "echo up; exec sleep 1000")
		readLine(t, victim.Stdout())
		id := victim.ID()
		for _, record := range []string{
			fmt.Sprintf("1 %s %d %s0 s %d - .\n", id.Boot, id.PID, id.Start, id.PID),
			fmt.Sprintf("1 %s0 %d %s s %d - .\n", id.Boot, id.PID, id.Start, id.PID),
			fmt.Sprintf("1 %s %d %s s %d -", id.Boot, id.PID, id.Start, id.PID),
			fmt.Sprintf("2 %s %d %s s %d - .\n", id.Boot, id.PID, id.Start, id.PID),
			fmt.Sprintf("1 %s -1 %s s %d - .\n", id.Boot, id.Start, id.PID),
			"", "\n", "$(touch /tmp/x)\n", strings.Repeat("x ", 100) + "\n",
		} {
			ws := suiteDir(t, h)
			if err := os.WriteFile(ws+"/.dbk-1", []byte(record), 0o600); err != nil {
				t.Fatal(err)
			}
			if left, err := h.Reap(suiteContext(t), ws); err != nil || len(left) != 0 || exists(ws) {
				t.Errorf("%q: left %q, %v", record, left, err)
			}
			if !runs(id) {
				t.Fatalf("%q: ended another's process", record)
			}
		}
	})
}

func suiteRelease(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	p := suiteSh(t, h, ws, "sleep 1000 & echo $!; exec sleep 1001")
	child := identify(t, linePID(t, p.Stdout()))
	p.Release()
	eventually(t, "all is gone", func() bool {
		return !runs(p.ID()) && !runs(child) && !exists(ws) && len(members(p.ID().PID)) == 0
	})
}

func suiteNormalEnd(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	p := suiteSh(t, h, ws, "[ -e /proc/$$/fd/3 ] && echo held || echo free; ps -o ppid= -A | grep -c \"^ *$$\\$\"; exit 4")
	out, err := io.ReadAll(p.Stdout())
	if err != nil {
		t.Fatal(err)
	}
	// The channel's input is not the program's; ps and grep are its only children: the lifeline is another's child.
	if f := strings.Fields(string(out)); len(f) != 2 || f[0] != "free" || f[1] != "2" {
		t.Errorf("descriptors and children: %q", f)
	}
	if exit, err := p.Wait(suiteContext(t)); err != nil || exit.Code != 4 {
		t.Errorf("%v, %v", exit, err)
	}
	eventually(t, "the lifeline is gone", func() bool { return len(members(p.ID().PID)) == 0 })
	if !exists(ws) {
		t.Error("the workspace went with the program")
	}
}

// suiteHeirs: a program ends and leaves others in its session, its leader's pid gone. They are found all the same.
func suiteHeirs(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	p := suiteSh(t, h, ws, "sleep 1000 >/dev/null 2>&1 & echo $!; exit 1")
	heir := identify(t, linePID(t, p.Stdout()))
	if exit, err := p.Wait(suiteContext(t)); err != nil || exit.Code != 1 {
		t.Errorf("%v, %v", exit, err)
	}
	eventually(t, "the lifeline is gone", func() bool { return len(members(p.ID().PID)) == 1 })
	if !runs(heir) {
		t.Error("the heir was ended with the program")
	}
	if left, err := h.Reap(suiteContext(t), ws); err != nil || len(left) != 0 || runs(heir) {
		t.Errorf("left %q, %v", left, err)
	}
}

func suiteAdopt(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	p := suiteSh(t, h, ws, "(setsid sh -c 'echo $$; sleep 1000 & echo $!; wait' &); exec sleep 1001")
	leader, child := identify(t, linePID(t, p.Stdout())), identify(t, linePID(t, p.Stdout()))
	id, err := h.Adopt(suiteContext(t), ws, leader.PID, false)
	if err != nil || id != leader {
		t.Errorf("%v, %v, not %v", id, err, leader)
	}
	for _, pid := range []int{0, 1, -1} {
		if _, err := h.Adopt(suiteContext(t), ws, pid, false); !errors.Is(err, os.ErrPermission) {
			t.Errorf("pid %d: %v", pid, err)
		}
	}
	// The test itself stands for whatever of ours was there before.
	if _, err := h.Adopt(suiteContext(t), ws, os.Getpid(), false); !errors.Is(err, os.ErrPermission) {
		t.Errorf("older than the workspace: %v", err)
	}
	if _, err := h.Adopt(suiteContext(t), ws, 1<<30, false); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("no process: %v", err)
	}
	if left, err := h.Reap(suiteContext(t), ws); err != nil || len(left) != 0 || runs(leader) || runs(child) || runs(p.ID()) {
		t.Errorf("left %q, %v", left, err)
	}
}

// suiteReapDeceived has other processes, as another user of the host could, take names with line ends in them, so that a process table
// which is read line by line says of a bystander that it is a descendant of what is reaped.
func suiteReapDeceived(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	p := suiteSh(t, h, ws, "echo up; exec sleep 1000")
	readLine(t, p.Stdout())
	bystander := identify(t, specimen(t, "", nil).Process.Pid)
	step := 2 // a name has 15 bytes at most: two pids of five digits need a third between them, which nobody must have
	for exists(fmt.Sprintf("/proc/%d", step)) {
		step++
	}
	specimen(t, fmt.Sprintf(`printf '\n%d () S %d\n' >/proc/$$/comm || exit`, step, p.ID().PID), nil)
	specimen(t, fmt.Sprintf(`printf '\n%d () S %d\n' >/proc/$$/comm || exit`, bystander.PID, step), nil)
	left, err := h.Reap(suiteContext(t), ws)
	if err != nil || len(left) != 0 {
		t.Errorf("left %q, %v", left, err)
	}
	if !runs(bystander) {
		t.Error("a bystander was ended")
	}
	if runs(p.ID()) {
		t.Error("the program runs")
	}
}

// suiteReapOddName ends a program whose own name has a line end in it.
func suiteReapOddName(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	p := suiteSh(t, h, ws, `printf 'a) S\n4194303 (' >/proc/$$/comm; echo up; while :; do sleep 1; done`)
	readLine(t, p.Stdout())
	if left, err := h.Reap(suiteContext(t), ws); err != nil || len(left) != 0 || runs(p.ID()) {
		t.Errorf("left %q, %v, runs: %v", left, err, runs(p.ID()))
	}
}
