package tunnel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/integration/freeport"
)

// A NAT forgets the connection, and nobody tells the server, which listens on. The forward comes back on its port all the same: the old server
// process is ended.
func TestForwardRemoteStrandedServer(t *testing.T) {
	server, hop := testBox(t)
	relay, hop := behindCutter(t, server, hop)
	k, _ := keep(t, runPool(t, PoolOptions{}), NewTarget([]Hop{hop}))
	f := up(t, running(t, ForwardRemote, fmt.Sprintf("%d:127.0.0.1:1", freeport.On127(t)), k, ForwardOptions{}))
	at := f.Status().Listen
	link, err := k.Up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old := farSockets(t.Context(), link, at.Port)
	if len(old) == 0 || old[0].PID == 0 {
		t.Fatalf("sockets: %v", old)
	}
	eventually(t, "it is known who serves", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.servers) == 1 && f.servers[0].PID == old[0].PID
	})
	relay.Strand()
	link.first().abort(errors.New("given up")) // as keepalives would, some seconds later
	<-link.Done()
	if _, err = k.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another server process listens there", func() bool {
		link, err := k.Up(t.Context())
		if err != nil {
			return false
		}
		now := farSockets(t.Context(), link, at.Port)
		return len(now) > 0 && now[0].PID != old[0].PID && f.Status().State == ForwardUp
	})
	if s := f.Status(); s.Listen != at || s.Err != nil {
		t.Errorf("Status = %+v, want it at %v", s, at)
	}
}

// The connection is lost between the request to listen, which the server has done, and its answer: the forward comes to its port all the same.
func TestForwardRemoteStrandedAnswer(t *testing.T) {
	server, hop := testBox(t)
	relay, hop := behindCutter(t, server, hop)
	k, _ := keep(t, runPool(t, PoolOptions{}), NewTarget([]Hop{hop}))
	link, err := k.Up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn := link.first()
	old, err := conn.serverProcess(t.Context()) // it is asked once, and known from then on
	if err != nil {
		t.Fatal(err)
	}
	port := freeport.On127(t)
	spec := fmt.Sprintf("%d:127.0.0.1:1", port)
	// What the forward asks for, as far as the server knows.
	kind, data := (&FarListener{bound: Endpoint{Port: port}}).request("")
	if ok, _, err := conn.ssh.SendRequest(kind, true, data); !ok || err != nil {
		t.Fatalf("%s: %v, %v", kind, ok, err)
	}
	relay.Strand()
	f := running(t, ForwardRemote, spec, k, ForwardOptions{})
	eventually(t, "it suspects who it asks", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.Contains(f.servers, old)
	})
	conn.abort(errors.New("given up")) // as keepalives would, some seconds later
	up(t, f)
	link, err = k.Up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if now := farSockets(t.Context(), link, port); len(now) == 0 || now[0].PID == old.PID {
		t.Errorf("sockets: %v, and the old process is %d", now, old.PID)
	}
}

// Only the very process that was noted is ended, only if it is an sshd, and never the one that serves the asking connection.
func TestEndServer(t *testing.T) {
	_, hop := testBox(t)
	k, _ := keep(t, runPool(t, PoolOptions{}), NewTarget([]Hop{hop}))
	link, err := k.Up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn := link.first()
	serves, err := conn.serverProcess(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(commOf(t, serves.PID), "sshd") {
		t.Errorf("served by %+v (%s)", serves, commOf(t, serves.PID))
	}
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	sleeper := identify(t, other.Process.Pid)
	stranger := serves
	stranger.Start += "0"
	earlier := serves
	earlier.Boot = "00000000-0000-0000-0000-000000000000"
	for name, id := range map[string]ProcessID{"itself": serves, "another start time": stranger, "another boot": earlier, "no sshd": sleeper} {
		if err := conn.endServer(t.Context(), id); !errors.Is(err, errNoServer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := conn.endServer(t.Context(), ProcessID{}); err == nil {
		t.Error("process 0 was signalled")
	}
	if isClosed(link.Done()) || !runs(sleeper) {
		t.Error("a process was ended that must not be")
	}
}

func commOf(t *testing.T, pid int) string {
	t.Helper()
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		t.Fatal(err)
	}
	return string(comm)
}
