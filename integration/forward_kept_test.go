package integration_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/answering"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// TestForwardAskedForAgain: nothing changes, and names are NAME, NAME-2, …; hosts counts them; unforward frees the ports.
func TestForwardAskedForAgain(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	port := tcpPort(upper(t, "tcp", "127.0.0.1:0"))
	fixed := strconv.Itoa(freeport.On127(t)) // nobody else gets it when it is free again
	first := s.forward(t, "box", "-L", fixed+":localhost:"+port, "-L", "0:127.0.0.1:"+port, "--name", "pg")
	again := s.forward(t, "box", "-L", fixed+":localhost:"+port, "-L", "0:127.0.0.1:"+port)
	for i, want := range []string{"pg", "pg-2"} {
		if first[i].Name != want || again[i].Name != want || first[i].Listen != again[i].Listen {
			t.Errorf("%+v and then %+v", first[i], again[i])
		}
	}
	if n := len(s.forwards(t)); n != 2 {
		t.Errorf("%d forwards", n)
	}
	hosts := brokertest.JSON[[]api.Host](s.Broker, "hosts")
	if len(hosts) != 1 || hosts[0].Forwards != 2 || hosts[0].Link == nil || hosts[0].Link.State != "up" {
		t.Errorf("%+v", hosts)
	}
	s.OK("unforward", "pg", "pg-2")
	l, err := net.Listen("tcp", first[0].Listen)
	if err != nil {
		t.Fatalf("%s is not free: %v", first[0].Listen, err)
	}
	l.Close()
	s.Fails(3, "unforward", "pg")
}

// TestForwardsOutliveTheDaemon: after a stop and after a kill they are there again with the next daemon, on the same ports and sockets.
func TestForwardsOutliveTheDaemon(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	dir, err := os.MkdirTemp("/tmp", "fo-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	target := tcpPort(upper(t, "tcp", "127.0.0.1:0"))
	port := func() string { return strconv.Itoa(freeport.On127(t)) } // that nobody else gets while no daemon has it
	there := port()
	list := s.forward(t, "box", "-L", port()+":localhost:"+target, "-L", filepath.Join(dir, "s")+":localhost:"+target, "-R", there+":localhost:"+target, "-D", port())
	for _, end := range []func(){func() { s.OK("stop") }, s.Crash} {
		end()
		for deadline := time.Now().Add(20 * time.Second); ; { // the kernel closes a killed program's sockets a little after its end shows
			c, err := net.Dial("tcp", list[0].Listen)
			if err != nil {
				break
			}
			c.Close()
			if time.Now().After(deadline) {
				t.Fatal("somebody listens though the daemon has ended")
			}
			time.Sleep(10 * time.Millisecond)
		}
		now := s.forwards(t) // starts the next one
		for _, f := range list {
			if after := named(t, now, f.Name); after.Kind != f.Kind || after.Target != f.Target {
				t.Errorf("%+v, was %+v", after, f)
			}
			if after := s.awaitUp(t, f.Name); after.Listen != f.Listen {
				t.Errorf("%s listens on %s, and did on %s", f.Name, after.Listen, f.Listen)
			}
		}
		works(t, list[0].Listen)
		works(t, list[1].Listen)
		works(t, "127.0.0.1:"+there)
	}
	s.OK("unforward", "--all")
	s.OK("stop")
	if left := s.forwards(t); len(left) > 0 {
		t.Errorf("removed, and back: %+v", left)
	}
}

// TestForwardPortTakenMeanwhile: another program has the port when the daemon starts: the forward says who, and takes no other.
func TestForwardPortTakenMeanwhile(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	target := tcpPort(upper(t, "tcp", "127.0.0.1:0"))
	f := s.forward(t, "box", "-L", strconv.Itoa(freeport.On127(t))+":localhost:"+target)[0]
	s.OK("stop")
	l, err := net.Listen("tcp", f.Listen)
	if err != nil {
		t.Fatal(err)
	}
	taken := s.awaitForward(t, f.Name, "failed", func(f api.Forward) bool { return f.State == api.ForwardFailed })
	if taken.Error == nil || taken.Error.Code != api.CodePortBusy || !strings.Contains(taken.Error.Message, fmt.Sprintf("process %d (", os.Getpid())) {
		t.Errorf("%+v: %+v", taken, taken.Error)
	}
	l.Close()
	s.awaitUp(t, f.Name) // by itself
	works(t, f.Listen)
}

// TestForwardFarPortOutlivesTheDaemon: the port that the host's server chose for -R 0 is the next daemon's too.
func TestForwardFarPortOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	target := "localhost:" + tcpPort(upper(t, "tcp", "127.0.0.1:0"))
	const tries = 5 // any program may be given the port while no daemon has it
	for range tries {
		chosen := s.forward(t, "box", "-R", "0:"+target)[0]
		kept := true
		for _, end := range []func(){func() { s.OK("stop") }, s.Crash} {
			end()
			after := s.awaitForward(t, chosen.Name, "up or refused", func(f api.Forward) bool {
				return f.State == api.ForwardUp || f.Error != nil && strings.Contains(f.Error.Message, " there is ")
			})
			if kept = after.State == api.ForwardUp; !kept {
				t.Logf("%s: %s", chosen.Listen, after.Error.Message)
				break
			}
			if after.Listen != chosen.Listen || after.Note != "" {
				t.Errorf("listens on %s (%s), and did on %s", after.Listen, after.Note, chosen.Listen)
			}
			works(t, "127.0.0.1:"+strings.TrimPrefix(after.Listen, "localhost:"))
		}
		s.OK("unforward", chosen.Name)
		if kept {
			return
		}
	}
	t.Errorf("the port was somebody else's %d times", tries)
}

// TestForwardSocketsAfterKill: a killed daemon leaves its sockets, here and on the host. The next one takes their places, but not one that
// another program listens on by then, or where another file is.
func TestForwardSocketsAfterKill(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	dir, err := os.MkdirTemp("/tmp", "fs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := func(name string) string { return filepath.Join(dir, name) }
	target := "localhost:" + tcpPort(upper(t, "tcp", "127.0.0.1:0"))
	s.forward(t, "box", "-L", path("left")+":"+target, "--name", "left")
	s.forward(t, "box", "-L", path("taken")+":"+target, "--name", "taken")
	s.forward(t, "box", "-L", path("file")+":"+target, "--name", "file")
	s.forward(t, "box", "-R", path("there")+":"+target, "--name", "there")
	s.Crash()
	for _, name := range []string{"left", "taken", "file"} {
		if info, err := os.Lstat(path(name)); err != nil || info.Mode().Type() != os.ModeSocket {
			t.Fatalf("a killed daemon leaves no socket: %v, %v", info, err)
		}
	}
	for _, name := range []string{"taken", "file"} {
		if err := os.Remove(path(name)); err != nil {
			t.Fatal(err)
		}
	}
	taken := answering.Serve(t, "unix", path("taken"), inBrackets)
	if err := os.WriteFile(path("file"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.OK("list") // starts the next one
	for _, name := range []string{"left", "there"} {
		s.awaitUp(t, name)
		works(t, path(name))
	}
	for name, word := range map[string]string{"taken": "another program listens there", "file": "a file is there that is no socket"} {
		f := s.awaitForward(t, name, "failed", func(f api.Forward) bool { return f.State == api.ForwardFailed })
		if f.Error == nil || f.Error.Code != api.CodePortBusy || !strings.Contains(f.Error.Message, word) || f.Error.Hint == "" {
			t.Errorf("%s: %+v", name, f.Error)
		}
	}
	if data, err := os.ReadFile(path("file")); string(data) != "precious" {
		t.Errorf("the file holds %q, %v", data, err)
	}
	works(t, path("taken")) // the other program's
	taken.Close()
	if err := os.Remove(path("file")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"taken", "file"} { // by themselves
		s.awaitUp(t, name)
		works(t, path(name))
	}
}

// TestForwardsOfTheConfiguration: [[forward]], and the ssh configuration's own where [[host]] says so.
func TestForwardsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	target := tcpPort(upper(t, "tcp", "127.0.0.1:0"))
	ours, theirs, dynamic := freeport.On127(t), freeport.On127(t), freeport.On127(t)
	s := newStation(t, sshd.Options{}, fmt.Sprintf(`
[[forward]]
name = "pg"
host = "box"
local = "%d:localhost:%s"

[[host]]
match = "b?x"
ssh_forwards = true
`, ours, target))
	s.sshd.AddHost("box", fmt.Sprintf("LocalForward %d localhost:%s", theirs, target), fmt.Sprintf("DynamicForward %d", dynamic))
	s.sshd.AddHost("other", fmt.Sprintf("LocalForward %d localhost:%s", freeport.On127(t), target))
	s.OK("list")
	for name, source := range map[string]string{"pg": "config", fmt.Sprintf("box-%d", theirs): "ssh-config", fmt.Sprintf("box-%d", dynamic): "ssh-config"} {
		if f := s.awaitUp(t, name); f.Source != source {
			t.Errorf("%+v", f)
		}
	}
	works(t, fmt.Sprintf("127.0.0.1:%d", ours))
	works(t, fmt.Sprintf("127.0.0.1:%d", theirs))
	if r := s.OK("hosts"); !strings.Contains(r.Stderr, "forwards of the ssh configuration are not made: other (1)") || !strings.Contains(r.Stderr, "ssh_forwards = true") {
		t.Errorf("hosts does not tell of other's: %s", r.Stderr)
	}
	for _, h := range brokertest.JSON[[]api.Host](s.Broker, "hosts") {
		if want := map[string]int{"other": 1}[h.Name]; h.SSHForwards != want {
			t.Errorf("%+v", h)
		}
	}
	s.examine(t, "other").has("ssh forwards", true, "LocalForward", "localhost:"+target, "ssh_forwards = true")
	for _, c := range s.examine(t, "box").checks {
		if c.Check == "ssh forwards" {
			t.Errorf("box: %+v", c)
		}
	}
	if n := len(s.forwards(t)); n != 3 {
		t.Errorf("%d forwards", n)
	}
	r := s.OK("unforward", "pg")
	if !strings.Contains(r.Stderr, "comes back") {
		t.Errorf("stderr: %s", r.Stderr)
	}
	s.OK("stop")
	s.OK("list")
	s.awaitUp(t, "pg")
}
