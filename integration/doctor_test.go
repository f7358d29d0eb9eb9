package integration_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/executable"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// examination is what one doctor said.
type examination struct {
	t      *testing.T
	what   string
	checks []api.Check
}

// examine runs doctor with --json and demands the exit status that goes with what it says.
func (s station) examine(t *testing.T, args ...string) examination {
	t.Helper()
	r := s.In(t).Run(append([]string{"doctor", "--json"}, args...)...)
	e := examination{t: t, what: strings.Join(args, " ")}
	good := true
	for line := range strings.Lines(r.Stdout) {
		var c api.Check
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&c); err != nil {
			t.Fatalf("doctor %s: %q: %v", e.what, line, err)
		}
		if !c.OK && c.Hint == "" {
			t.Errorf("doctor %s: a failing check without a hint: %s", e.what, line)
		}
		good = good && c.OK
		e.checks = append(e.checks, c)
	}
	want := 1
	if good {
		want = 0
	}
	if r.Code != want || len(e.checks) == 0 || r.Stderr != "" {
		t.Fatalf("doctor %s: exit status %d, want %d\n%s%s", e.what, r.Code, want, r.Stdout, r.Stderr)
	}
	return e
}

// has demands a check of a name that is ok or not and whose detail and hint have the words.
func (e examination) has(name string, ok bool, words ...string) {
	e.t.Helper()
	for _, c := range e.checks {
		text := c.Detail + " " + c.Hint
		if c.Check == name && c.OK == ok && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			return
		}
	}
	e.t.Errorf("doctor %s: no check %q with ok %v that says %q:\n%s", e.what, name, ok, words, e)
}

// fails demands that exactly these checks fail. What other programs have left in the machine's /tmp is not the test's.
func (e examination) fails(names ...string) {
	e.t.Helper()
	var failing []string
	for _, c := range e.checks {
		if !c.OK && c.Check != "leftovers" {
			failing = append(failing, c.Check)
		}
	}
	if !slices.Equal(failing, names) {
		e.t.Errorf("doctor %s: failing are %q, want %q:\n%s", e.what, failing, names, e)
	}
}

func (e examination) String() string {
	var b strings.Builder
	for _, c := range e.checks {
		line, _ := json.Marshal(c) // plain fields
		b.Write(append(line, '\n'))
	}
	return b.String()
}

// TestDoctorHost: a host where all is well, through the built binary.
func TestDoctorHost(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{Lines: []string{"Subsystem sftp internal-sftp"}}, "")
	s.clean(t)
	e := s.examine(t, "box")
	e.fails()
	for _, name := range []string{
		"ssh config", "name", "port", "ssh server", "host key", "key", "authentication", "round trip", "login shell", "tcp forwarding", "socket forwarding",
		"sftp", "sessions", "system", "clock", "workspace", "other accounts",
	} {
		e.has(name, true)
	}
}

// TestDoctorHere: this machine's side.
func TestDoctorHere(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	e := s.examine(t)
	e.fails()
	e.has("brokerd", true, "pid")
	e.has("state directory", true, s.StateDir(), "mode 0700", "free")
	e.has("config", true, s.ConfigFile(), "valid")
	e.has("ssh config", true, s.sshd.ConfigFile(), "1 host")
	e.has("ssh program", true, "OpenSSH")
	e.has("local port", true, "bound and reached")
	e.has("agent", true, "SSH_AUTH_SOCK")
	r := s.OK("doctor")
	if !strings.Contains(r.Stdout, "ok    local port") || !strings.Contains(r.Stderr, "all 8 checks hold") || strings.Contains(r.Stdout, "\x1b") {
		t.Errorf("for people:\n%s%s", r.Stdout, r.Stderr)
	}
}

// TestDoctorServerOptions: what a server's configuration forbids is told apart, each with what to do, and the rest goes on.
func TestDoctorServerOptions(t *testing.T) {
	t.Parallel()
	t.Run("forwarding", func(t *testing.T) {
		t.Parallel()
		e := newStation(t, sshd.Options{NoTCPForwarding: true}, "").examine(t, "box")
		e.fails("tcp forwarding", "socket forwarding") // sshd forbids both
		e.has("tcp forwarding", false, "AllowTcpForwarding")
		e.has("socket forwarding", false, "AllowTcpForwarding")
		e.has("sftp", true, "not offered", "Subsystem sftp")
	})
	t.Run("sockets", func(t *testing.T) {
		t.Parallel()
		e := newStation(t, sshd.Options{NoStreamForwarding: true}, "").examine(t, "box")
		e.fails("socket forwarding")
		e.has("socket forwarding", false, "AllowStreamLocalForwarding yes")
		e.has("tcp forwarding", true, "allowed")
	})
	t.Run("sockets one way", func(t *testing.T) {
		t.Parallel()
		e := newStation(t, sshd.Options{Lines: []string{"AllowStreamLocalForwarding local"}}, "").examine(t, "box")
		e.fails()
		e.has("socket forwarding", true, "allowed")
	})
	t.Run("sockets the other way", func(t *testing.T) {
		t.Parallel()
		e := newStation(t, sshd.Options{Lines: []string{"AllowStreamLocalForwarding remote"}}, "").examine(t, "box")
		e.fails("socket forwarding")
		e.has("socket forwarding", false, "forbidden", "AllowStreamLocalForwarding yes")
	})
	for _, max := range []int{1, 2, 3} {
		t.Run(fmt.Sprintf("sessions %d", max), func(t *testing.T) {
			t.Parallel()
			e := newStation(t, sshd.Options{MaxSessions: max}, "").examine(t, "box")
			e.fails()
			e.has("sessions", true, fmt.Sprintf("%d at once", max), "MaxSessions")
		})
	}
	t.Run("many sessions", func(t *testing.T) {
		t.Parallel()
		e := newStation(t, sshd.Options{MaxSessions: 20}, "").examine(t, "box")
		e.has("sessions", true, "11 or more")
	})
	t.Run("noise", func(t *testing.T) {
		t.Parallel()
		e := newStation(t, sshd.Options{Noise: "Welcome!\x1b[2J\n"}, "").examine(t, "box")
		e.fails()
		e.has("login shell", true, "prints 26 bytes", "start-up files")
	})
	t.Run("no commands", func(t *testing.T) {
		t.Parallel()
		e := newStation(t, sshd.Options{Lines: []string{"ForceCommand /bin/false"}}, "").examine(t, "box")
		e.fails("login shell", "not looked at")
		e.has("authentication", true)
	})
	t.Run("no sessions", func(t *testing.T) {
		t.Parallel()
		e := newStation(t, sshd.Options{Lines: []string{"MaxSessions 0"}}, "").examine(t, "box")
		e.fails("sessions", "not looked at")
		e.has("sessions", false, "MaxSessions")
	})
}

// TestDoctorClock: a host whose clock is wrong.
func TestDoctorClock(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	date, err := exec.LookPath("date")
	if err != nil {
		t.Fatal(err)
	}
	executable.Write(t, filepath.Join(bin, "date"), []byte("#!/bin/sh\nexec "+date+" -d '90 seconds ago' \"$@\"\n"))
	s := newStation(t, sshd.Options{Env: map[string]string{"PATH": bin + ":" + os.Getenv("PATH")}}, "")
	e := s.examine(t, "box")
	e.fails("clock")
	e.has("clock", false, "behind ours", "NTP")
}

// TestDoctorUsage: what names no host is refused before anything is asked.
func TestDoctorUsage(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	for _, arg := range []string{"-oProxyCommand=x", "a b", "box:cobol", "::1", "", "$(id)"} {
		s.complains(t, complaint{2, api.CodeUsage, nil}, "doctor", "--", arg)
	}
}
