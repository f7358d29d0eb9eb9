package integration_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/tunnel"
)

// TestDoctorLeftovers: a directory of ours that nobody has is named, until it is gone.
func TestDoctorLeftovers(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	dir := "/tmp/" + tunnel.NewWorkspaceName()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(dir, long, long); err != nil {
		t.Fatal(err)
	}
	s.examine(t, "box").has("leftovers", false, dir, "rm -r")
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.examine(t, "box").checks {
		if strings.Contains(c.Detail, dir) {
			t.Errorf("it is gone, and named: %+v", c)
		}
	}
}

// TestDoctorConfig: a configuration that has become wrong since brokerd started.
func TestDoctorConfig(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.OK("list")
	if err := os.WriteFile(s.ConfigFile(), []byte("[session]\nttl = \"soon\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.StateDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	e := s.examine(t)
	e.fails("state directory", "config")
	e.has("config", false, s.ConfigFile()+":2", "session.ttl")
	e.has("state directory", false, "mode 0755", "chmod 700")
}

// TestDoctorInterrupted: Ctrl-C ends an examination that waits, and the daemon's half of it.
func TestDoctorInterrupted(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.sshd.AddHost("mute", fmt.Sprintf("Port %d", speaks(t, "")), "ConnectTimeout 60")
	s.OK("list")
	cmd := s.Command(t.Context(), "doctor", "mute", "--json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), `"check":"port"`) { // now it waits for the server's words
	}
	began := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 || time.Since(began) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	began = time.Now()
	s.OK("stop") // waits for requests under way
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the daemon's half held its end up for %s", took)
	}
}
