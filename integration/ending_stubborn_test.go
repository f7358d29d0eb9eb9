package integration_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"os"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/sandbox"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

func itoa(n int) string { return strconv.Itoa(n) }

// TestTimeLimit ends a session as expired, and cleans up.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	k := pythonTicker(t)
	v := s.Open(k.open("box", []string{"--ttl", "4s"})...)
	k.pause(t, v.Local)
	v = s.Await(v.ID, "its time is up", func(v api.Session) bool { return v.Phase.Ended() })
	if v.Phase != api.PhaseExpired || len(v.Left) > 0 {
		t.Errorf("%+v", v)
	}
	if late := v.Ended.Sub(v.Expires); late < -time.Second || late > 10*time.Second {
		t.Errorf("ended %s after its time", late)
	}
	gone(t, v)
}

// stubborn ignores what asks it to end, has a child that does so too, and says when it is so far.
const stubborn = `
import os, signal, sys, time
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(s, signal.SIG_IGN)
if os.fork() == 0:
    while True:
        time.sleep(1)
print("ready", flush=True)
while True:
    time.sleep(1)
`

// TestStubbornPrograms that ignore SIGTERM are ended all the same, with their children, and `close` says so in bounded time.
func TestStubbornPrograms(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	python, node := tools.Need(t, tools.Python), tools.Need(t, tools.Node)
	jsText := `for (const s of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(s, () => {});
require("child_process").spawn("sh", ["-c", "trap '' TERM HUP INT; while :; do sleep 1; done"], { stdio: "ignore" });
console.log("ready"); setInterval(() => {}, 1000);`
	goText := `package main

import ("fmt"; "os/signal"; "syscall"; "time")

func main() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	fmt.Println("ready")
	for { time.Sleep(time.Second) }
}
`
	for name, args := range map[string][]string{
		"python": {"box:python", "--interpreter", python, "--no-wait", "--", file(t, "stubborn.py", stubborn)},
		"node":   {"box:node", "--interpreter", node, "--no-wait", "--", file(t, "stubborn.js", jsText)},
		"go":     {"box:go", "--interpreter", tools.NeedDlv(t), "--no-wait", "--", file(t, "stubborn.go", goText)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			v := s.Open(args...)
			awaitOutput(t, s.Broker, v.ID, 0, "ready")
			begin := time.Now()
			s.Broker.Close(v.ID)
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("close took %s", took)
			}
			gone(t, v)
		})
	}
}

// TestWhatCannotBeRemoved is named, with the host and in --json, and goes with the next try once it can.
func TestWhatCannotBeRemoved(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root: a file that even its owner cannot remove")
	}
	chattr := tools.Need(t, func() (string, error) { return exec.LookPath("chattr") })
	s := newStation(t, sshd.Options{}, "")
	left := s.Leftovers()
	v := s.Open(nodeTicker(t).open("box", nil)...)
	ws := workspaceOf(t, s, *v.PID)
	stuck := filepath.Join(ws, "stuck")
	if err := os.WriteFile(stuck, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(chattr, "+i", stuck).CombinedOutput(); err != nil {
		t.Skipf("this file system has no immutable files: %v %s", err, out)
	}
	free := func() {
		if out, err := exec.Command(chattr, "-i", stuck).CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	}
	r := s.Run("close", v.ID, "--json")
	closed := brokertest.Decode[[]api.Closed](t, r.Stdout)
	if r.Code != 1 || len(closed) != 1 || !strings.Contains(fmt.Sprint(closed[0].Left), ws) || closed[0].Error == nil || closed[0].Error.Code != api.CodeCleanUp {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	people := s.Run("close", v.ID)
	if people.Code != 1 || !strings.Contains(people.Stderr, ws) || !strings.Contains(people.Stderr, "hint: ") {
		t.Errorf("for people: %+v", people)
	}
	if v = s.Show(v.ID); !strings.Contains(fmt.Sprint(v.Left), ws) {
		t.Errorf("show: left %q", v.Left)
	}
	gone(t, v)
	free()
	s.Broker.Close(v.ID)
	if v = s.Show(v.ID); len(v.Left) > 0 {
		t.Errorf("show still names %q", v.Left)
	}
	left.Check()
}

// workspaceOf finds the workspace in which a process is recorded.
func workspaceOf(t *testing.T, s station, pid int) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("/tmp/dbk-*", ".dbk-"+itoa(pid)))
	if err != nil || len(found) != 1 {
		ours, _ := sandbox.Marked(s.Mark())
		t.Fatalf("the workspace of %d: %v %v; there are %v", pid, found, err, ours)
	}
	return filepath.Dir(found[0])
}
