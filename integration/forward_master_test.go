package integration_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// TestForwardsOverControlMaster: forwards of all kinds go over an ssh of the user's, outlive a kill of the daemon, and leave nothing in that ssh.
func TestForwardsOverControlMaster(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	dir, err := os.MkdirTemp("/tmp", "fm-") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s.rideMaster(t, filepath.Join(dir, "cm"))
	target, socket := tcpPort(upper(t, "tcp", "127.0.0.1:0")), upper(t, "unix", filepath.Join(dir, "target")).String()
	there := strconv.Itoa(freeport.On127(t))
	list := s.forward(t, "ridden", "-L", "0:"+socket, "-R", "0:localhost:"+target, "-R", there+":localhost:"+target, "-R", filepath.Join(dir, "far")+":"+socket)
	for _, f := range list {
		works(t, f.Listen)
	}
	s.Crash()
	s.forwards(t) // starts the next one
	left := list[1].Listen
	for i, f := range list {
		now := s.awaitUp(t, f.Name)
		if now.Listen != f.Listen && i != 1 { // whose port is the server's to choose
			t.Errorf("%s listens on %s, and did on %s", f.Name, now.Listen, f.Listen)
		}
		list[i] = now
		works(t, now.Listen)
	}
	deaf := func(at string) {
		t.Helper()
		network := "tcp"
		if strings.HasPrefix(at, "/") {
			network = "unix"
		}
		awaitDeaf(t, network, at)
	}
	if left != list[1].Listen {
		deaf(left)
	}
	for _, end := range [][]string{{"stop"}, {"unforward", "--all"}} {
		s.OK(end...)
		for _, f := range list {
			deaf(f.Listen)
		}
		if end[0] == "stop" {
			s.forwards(t) // starts the next one
			for i, f := range list {
				list[i] = s.awaitUp(t, f.Name)
				works(t, list[i].Listen)
			}
		}
	}
	if len(list) != 4 || list[1].Kind != "remote" || list[1].State != api.ForwardUp {
		t.Errorf("%+v", list)
	}
}

// awaitDeaf waits until nobody listens at an address.
func awaitDeaf(t *testing.T, network, address string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial(network, address)
		if err != nil {
			return
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatalf("somebody listens on %s", address)
		}
	}
}

// rideMaster starts an ssh as ControlMaster at path, and makes "ridden" a host that can be reached over it only. end kills it.
func (s station) rideMaster(t *testing.T, path string) (end func()) {
	t.Helper()
	s.sshd.AddHost("ridden", "ControlPath "+path, "IdentityFile /nonexistent", "UserKnownHostsFile /dev/null", "ProxyCommand false")
	master := exec.Command("ssh", "-F", s.sshd.ConfigFile(), "-M", "-S", path, "-N", "-o", "BatchMode=yes", "box")
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = master.Wait() }()
	end = func() { _ = master.Process.Kill(); <-ended }
	t.Cleanup(end)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return end
		}
		if time.Now().After(deadline) {
			t.Fatal("the ControlMaster does not listen")
		}
	}
}
