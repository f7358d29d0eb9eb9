package integration_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/sandbox"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// openAll opens a session in each language on the host, the go one stopped at a breakpoint, and one on this machine.
func openAll(t *testing.T, s station) []api.Session {
	t.Helper()
	var all []api.Session
	for _, k := range tickers(t) {
		v := s.Open(k.open("box", nil)...)
		if k.lang == "go" {
			k.pause(t, v.Local)
		}
		all = append(all, v)
	}
	return append(all, s.Open(nodeTicker(t).open("", []string{"--no-wait"})...))
}

// TestDaemonKilled: the remote cleans itself up; the next daemon says what became of the sessions, and their ports serve again.
func TestDaemonKilled(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	left := s.Leftovers()
	open := openAll(t, s)
	s.Crash()
	left.Check()
	for _, v := range open {
		gone(t, v)
	}
	if n := len(sessions(t, s, false)); n != 0 {
		t.Errorf("%d sessions live on", n)
	}
	for _, v := range open {
		after := s.Show(v.ID)
		if after.Phase != api.PhaseFailed || after.Error == nil || after.Error.Code != api.CodeDaemon || after.Error.Hint == "" || after.Ended == nil {
			t.Errorf("session %s after the crash: %+v", v.ID, after)
		}
		s.Broker.Close(v.ID)
	}
	_, port, _ := net.SplitHostPort(open[0].Local)
	again := s.Open(pythonTicker(t).open("box", []string{"--local-port", port})...)
	if again.Local != open[0].Local {
		t.Errorf("the next session is at %s, the last was at %s", again.Local, open[0].Local)
	}
	pythonTicker(t).pause(t, again.Local)
	s.Broker.Close(again.ID)
}

// TestDaemonKilledAndNobodyThere: the lifelines on the host are killed too, so that only the ledger knows.
func TestDaemonKilledAndNobodyThere(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	left := s.Leftovers()
	open := openAll(t, s)
	for _, v := range open {
		if v.Host == "" {
			s.Broker.Close(v.ID)
		}
	}
	killLifelines(t, s)
	s.Crash()
	for _, v := range open {
		if v.Host != "" && !running(*v.PID) {
			t.Errorf("%s has ended, nobody was there to end it", v.Lang)
		}
	}
	s.OK("list") // a daemon starts, and looks after what the last one left
	left.Check()
	for _, v := range open {
		gone(t, v)
		if v = s.Show(v.ID); len(v.Left) > 0 {
			t.Errorf("left of %s: %q", v.ID, v.Left)
		}
	}
}

// killLifelines ends the watchers that would clean up on the host: they are named in the workspaces' records.
func killLifelines(t *testing.T, s station) {
	t.Helper()
	ours, err := sandbox.Marked(s.Mark())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range ours {
		records, err := filepath.Glob("/tmp/dbk-*/.dbk-*")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			text, err := os.ReadFile(r)
			f := strings.Fields(string(text))
			// VERSION BOOT PID START KIND GROUP ROLE .
			if err == nil && len(f) == 8 && f[2] == itoa(p.PID) && f[6] == "life" {
				if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				n++
			}
		}
	}
	if n == 0 {
		t.Fatal("no lifeline was found")
	}
}

// TestDaemonStopped: SIGTERM and `brokerctl stop` close the sessions and clean up before the daemon ends.
func TestDaemonStopped(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	for _, way := range []string{"stop", "SIGTERM"} {
		t.Run(way, func(t *testing.T) {
			s := s.in(t)
			left := s.Leftovers()
			open := openAll(t, s)
			pid := s.PID()
			if way == "stop" {
				if r := s.OK("stop", "--json"); !strings.Contains(r.Stdout, `"stopped":true`) {
					t.Errorf("stop: %s", r.Stdout)
				}
			} else {
				if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				deadline := time.Now().Add(30 * time.Second)
				for running(pid) && time.Now().Before(deadline) {
					time.Sleep(20 * time.Millisecond) // nobody tells of another's child
				}
			}
			if running(pid) {
				t.Error("the daemon still runs")
			}
			for _, v := range open {
				gone(t, v)
			}
			left.Check()
			for _, v := range open {
				if after := s.Show(v.ID); after.Phase != api.PhaseClosed || after.Error != nil || len(after.Left) > 0 {
					t.Errorf("session %s: %+v", v.ID, after)
				}
			}
			s.OK("stop")
			if r := s.OK("stop", "--json"); !strings.Contains(r.Stdout, `"stopped":false`) {
				t.Errorf("stop where none runs: %s", r.Stdout)
			}
		})
	}
}
