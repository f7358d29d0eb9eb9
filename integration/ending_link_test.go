package integration_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/cutter"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// lost awaits a session's end by the loss of its link.
func lost(t *testing.T, s station, id string) {
	t.Helper()
	v := s.In(t).Await(id, "the link is known to be lost", func(v api.Session) bool { return v.Phase.Ended() })
	if v.Phase != api.PhaseFailed || v.Error == nil || v.Error.Code != api.CodeLinkLost || v.Error.Hint == "" {
		t.Errorf("phase %s, error %+v", v.Phase, v.Error)
	}
}

// TestLinkThatEnds: the sshd processes of the connection are killed. The remote cleans itself up, for sshd does not come back.
func TestLinkThatEnds(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	left := s.Leftovers()
	var open []api.Session
	for _, k := range tickers(t) {
		open = append(open, s.Open(k.open("box", []string{"--no-wait"})...))
	}
	paused := s.Open(goTicker(t).open("box", nil)...)
	goTicker(t).pause(t, paused.Local)
	open = append(open, paused)
	s.sshd.Stop()
	for _, v := range open {
		lost(t, s, v.ID)
	}
	left.Check()
	for _, v := range open {
		gone(t, v)
	}

	// Until the host has been looked at, nobody knows that it is clean.
	id := open[0].ID
	r := s.Run("close", id, "--json")
	if closed := brokertest.Decode[[]api.Closed](t, r.Stdout); r.Code != 5 || len(closed) != 1 || len(closed[0].Left) == 0 || closed[0].Error == nil {
		t.Errorf("close while the host is away: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	s.sshd.Start()
	for _, v := range open {
		s.Broker.Close(v.ID) // looks
		if v = s.Show(v.ID); len(v.Left) > 0 {
			t.Errorf("session %s: left %q", v.ID, v.Left)
		}
	}
}

// TestLinkThatIsCut: sshd comes back at once, and so does work on the host.
func TestLinkThatIsCut(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	k := pythonTicker(t)
	v := s.Open(k.open("box", nil)...)
	k.pause(t, v.Local)
	if s.sshd.KillConnections() == 0 {
		t.Fatal("no connection")
	}
	lost(t, s, v.ID)
	again := s.Open(k.open("box", nil)...)
	if again.Local != v.Local {
		t.Errorf("the next session is at %s, the last was at %s", again.Local, v.Local)
	}
	k.pause(t, again.Local)
	s.Broker.Close(again.ID)
}

// TestLinkThatFallsSilent: nobody tells either side. Keepalives find out here; there nobody does, until the host is reached again.
func TestLinkThatFallsSilent(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	left := s.Leftovers()
	line := cutter.New(t, s.sshd.Addr())
	s.sshd.Trust(line.Port())
	s.sshd.AddHost("far", fmt.Sprintf("Port %d", line.Port()), "ServerAliveInterval 1", "ServerAliveCountMax 2", "ConnectTimeout 1")
	k := goTicker(t)
	v := s.Open(k.open("far", nil)...)
	k.pause(t, v.Local)

	line.BlackHole()
	begin := time.Now()
	lost(t, s, v.ID)
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("took %s to see it", took)
	}
	if !running(*v.PID) {
		t.Error("the program has ended though nothing could tell it to")
	}
	if shown := s.Show(v.ID); len(shown.Left) == 0 || !strings.Contains(shown.Left[0], "workspace /") {
		t.Errorf("what is left is not told: %q", shown.Left)
	}
	s.complainsOnce(t, complaint{5, api.CodeUnreachable, nil}, append([]string{"open"}, k.open("far", nil)...)...)

	// Another way to the same host: the old connection stays dark, so that only we can clean up.
	s.sshd.AddHost("far", fmt.Sprintf("Port %d", s.sshd.Port()))
	touchLater(t, s.sshd.ConfigFile())
	again := s.Open(k.open("far", nil)...)
	if running(*v.PID) {
		t.Error("the program of the lost session still runs after the next open")
	}
	s.Broker.Close(v.ID)
	s.Broker.Close(again.ID)
	left.Check()
}

// touchLater makes a file look changed even where the clock of its file system is coarse.
func touchLater(t *testing.T, path string) {
	t.Helper()
	later := time.Now().Add(2 * time.Second)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
}

// TestCloseOutOfReach: the local port is gone at once, the clean-up is pending, and done once the host is back.
func TestCloseOutOfReach(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	left := s.Leftovers()
	line := cutter.New(t, s.sshd.Addr())
	s.sshd.Trust(line.Port())
	s.sshd.AddHost("far", fmt.Sprintf("Port %d", line.Port()), "ConnectTimeout 1", "ServerAliveInterval 1", "ServerAliveCountMax 2")
	k := nodeTicker(t)
	v := s.Open(k.open("far", nil)...)
	line.BlackHole()
	begin := time.Now()
	r := s.Run("close", v.ID, "--json")
	closed := brokertest.Decode[[]api.Closed](t, r.Stdout)
	if r.Code != 5 || len(closed) != 1 || len(closed[0].Left) == 0 || closed[0].Error == nil || !strings.Contains(closed[0].Error.Message, "pending") {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("took %s", took)
	}
	pid := v.PID
	v.PID = nil
	gone(t, v)
	if !running(*pid) {
		t.Error("the program has ended though nothing could tell it to")
	}
	if people := s.Run("close", v.ID); people.Code != 5 || !strings.Contains(people.Stderr, "pending") || !strings.Contains(people.Stderr, "hint: ") {
		t.Errorf("for people: %+v", people)
	}
	line.Heal()
	s.Broker.Close(v.ID)
	left.Check()
}

// TestSilentLinkHoldsNobodyUp: nothing is heard of the host, and keepalives are not to find out for an hour. Who wants to end a session,
// or the daemon, is let go in bounded time; the host is cleaned up once the connection is seen to end there.
func TestSilentLinkHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	left := s.Leftovers()
	line := cutter.New(t, s.sshd.Addr())
	s.sshd.Trust(line.Port())
	s.sshd.AddHost("far", fmt.Sprintf("Port %d", line.Port()), "ServerAliveInterval 3600")
	var open []api.Session
	for _, k := range []ticker{goTicker(t), pythonTicker(t)} {
		open = append(open, s.Open(k.open("far", []string{"--no-wait"})...))
	}
	line.BlackHole()

	begin := time.Now()
	r := s.Run("close", open[0].ID, "--json")
	closed := brokertest.Decode[[]api.Closed](t, r.Stdout)
	if r.Code != 5 || len(closed) != 1 || closed[0].Error == nil || closed[0].Error.Code != api.CodeUnreachable || len(closed[0].Left) == 0 {
		t.Errorf("close: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if took := time.Since(begin); took > 28*time.Second {
		t.Errorf("close took %s", took)
	}
	if v := s.Show(open[0].ID); v.Phase != api.PhaseClosed {
		t.Errorf("phase %s", v.Phase)
	}
	s.OK("stop") // has its own bound, 30 s
	line.Heal()
	left.Check()
	for _, v := range open {
		gone(t, v)
	}
}
