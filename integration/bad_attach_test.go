package integration_test

import (
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// crowdOf are running programs of their languages, which no test here may touch.
func crowdOf(t *testing.T) map[string]*byHand {
	t.Helper()
	running := map[string]*byHand{
		"python": startByHand(t, 0, "tick", tools.Need(t, tools.Python), programs.Path(t, "python/ticker.py")),
		"go":     startByHand(t, 0, "tick", programs.BuildGo(t, "ticker")),
		"node":   startByHand(t, 0, "tick", tools.Need(t, tools.Node), programs.Path(t, "node/ticker.js")),
		"java":   attachJava(t).start(t),
	}
	t.Cleanup(func() {
		for _, h := range running {
			h.untouched()
		}
	})
	return running
}

// TestAttachToTheWrongProcess: what cannot be meant by --pid is refused, and nothing is touched.
func TestAttachToTheWrongProcess(t *testing.T) {
	t.Parallel()
	tools.NeedDlv(t)
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	s.OK("list") // a daemon runs
	running := crowdOf(t)
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	sleep := exec.Command("sleep", "1000")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { sleep.Process.Kill(); sleep.Wait() }()
	gonePID, sleepPID := strconv.Itoa(gone.Process.Pid), strconv.Itoa(sleep.Process.Pid)
	for name, tt := range map[string]struct {
		lang, pid string
		want      complaint
	}{
		"gone":            {"python", gonePID, complaint{1, api.CodeNotFound, []string{"no process " + gonePID + " on box", "brokerctl ps box:python"}}},
		"gone/go":         {"go", gonePID, complaint{1, api.CodeNotFound, []string{"no process " + gonePID}}},
		"no such pid":     {"python", "2147483647", complaint{1, api.CodeNotFound, []string{"no process 2147483647"}}},
		"no language":     {"go", sleepPID, complaint{1, api.CodeUnsuitable, []string{"process " + sleepPID + " (sleep) is not a go program", "brokerctl ps box:go"}}},
		"python, not go":  {"go", running["python"].pid(), complaint{1, api.CodeUnsuitable, []string{"is not a go program", "it is a python program: brokerctl open box:python --pid " + running["python"].pid()}}},
		"node, not java":  {"java", running["node"].pid(), complaint{1, api.CodeUnsuitable, []string{"is not a java program", "brokerctl open box:node --pid " + running["node"].pid()}}},
		"java, not go":    {"golang", running["java"].pid(), complaint{1, api.CodeUnsuitable, []string{"(java) is not a go program", "brokerctl open box:java --pid " + running["java"].pid()}}},
		"go, not node":    {"node", running["go"].pid(), complaint{1, api.CodeUnsuitable, []string{"(ticker) is not a node program", "brokerctl open box:go --pid " + running["go"].pid()}}},
		"go, not python":  {"py", running["go"].pid(), complaint{1, api.CodeUnsuitable, []string{"is not a python program", "brokerctl open box:go --pid " + running["go"].pid()}}},
		"brokerd":         {"go", strconv.Itoa(s.PID()), complaint{1, api.CodeUnsuitable, []string{"(brokerd) is debugbroker itself"}}},
		"brokerd, python": {"python", strconv.Itoa(s.PID()), complaint{1, api.CodeUnsuitable, []string{"(brokerd) is debugbroker itself"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s.complains(t, tt.want, "open", "box:"+tt.lang, "--pid", tt.pid)
		})
	}
	for _, pid := range []string{"0", "-1", "x", "1e3", "99999999999999999999", ""} {
		s.complains(t, complaint{2, api.CodeUsage, nil}, "open", "box:python", "--pid="+pid)
	}
}

// TestAttachToAStoppedProcess: it stays stopped, as whoever stopped it wants it.
func TestAttachToAStoppedProcess(t *testing.T) {
	t.Parallel()
	tools.NeedDlv(t)
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	for lang, h := range crowdOf(t) {
		if err := h.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		s.complains(t, complaint{1, api.CodeUnsuitable, []string{"process " + h.pid(), "is stopped by a signal", "kill -CONT " + h.pid()}}, "open", "box:"+lang, "--pid", h.pid())
		if state := stateOf(t, h.cmd.Process.Pid); state != "T" {
			t.Errorf("%s: state %s, and it was stopped", lang, state)
		}
		if err := h.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
}
