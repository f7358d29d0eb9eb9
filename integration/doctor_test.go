package integration_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
	"github.com/debugbroker/debugbroker/tunnel"
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
	if err := os.WriteFile(filepath.Join(bin, "date"), []byte("#!/bin/sh\nexec "+date+" -d '90 seconds ago' \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := newStation(t, sshd.Options{Env: map[string]string{"PATH": bin + ":" + os.Getenv("PATH")}}, "")
	e := s.examine(t, "box")
	e.fails("clock")
	e.has("clock", false, "behind ours", "NTP")
}

// TestDoctorTheWay: a way that ends before the host, at each of the places where it may end. What comes after is said not to have been
// looked at.
func TestDoctorTheWay(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	d := s.sshd
	open := d.WriteKey("open", "")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	d.AddHost("nowhere", "HostName nosuchhost.invalid")
	d.AddHost("refused", fmt.Sprintf("Port %d", closedPort(t)))
	d.AddHost("full", fmt.Sprintf("Port %d", fullPort(t)), "ConnectTimeout 1")
	d.AddHost("mute", fmt.Sprintf("Port %d", speaks(t, "")), "ConnectTimeout 1")
	d.AddHost("halting", fmt.Sprintf("Port %d", speaks(t, "SSH-2.0-OpenSSH_9.2\r\n")), "ConnectTimeout 1")
	d.AddHost("unknownkey", "UserKnownHostsFile /dev/null")
	d.AddHost("nokey", "IdentityFile "+d.WriteKey("stranger", ""))
	d.AddHost("openkey", "IdentityFile "+authorized(t, d, open))
	d.AddHost("lockedkey", "IdentityFile "+authorized(t, d, d.WriteKey("locked", "secret")))
	d.AddHost("twokeys", "IdentityFile "+filepath.Join(d.Dir(), "stranger"), "IdentityFile "+d.IdentityFile())
	d.AddHost("viacommand", "ProxyCommand nc %h %p")
	d.AddHost("behind", "ProxyJump box", fmt.Sprintf("Port %d", closedPort(t)))
	d.AddHost("noagent", "IdentityAgent "+filepath.Join(d.Dir(), "no.sock"))
	d.AddHost("warned", "ForwardAgent yes")
	const rest = "not looked at"
	tests := []struct {
		host  string
		fails []string
		has   string // a check that fails, and what it says
		words []string
		good  []string // checks before it
	}{
		{"nowhere", []string{"name", rest}, "name", []string{"nosuchhost.invalid", "HostName"}, []string{"ssh config"}},
		{"refused", []string{"port", rest}, "port", []string{"refused", "is sshd running"}, []string{"name"}},
		{"full", []string{"port", rest}, "port", []string{"no answer in time", "firewall"}, []string{"name"}},
		{"mute", []string{"ssh server", rest}, "ssh server", []string{"no answer within 1s", "no SSH server"}, []string{"port"}},
		{"halting", []string{"ssh server", rest}, "ssh server", []string{"no answer within 1s"}, []string{"port", "ssh server"}},
		{"unknownkey", []string{"host key", rest}, "host key", []string{"unknown", "SHA256:", "run `ssh unknownkey`"}, []string{"ssh server"}},
		{"nokey", []string{"key", "authentication", rest}, "key", []string{"stranger (ssh-ed25519 SHA256:", "refused", "ssh-copy-id"}, []string{"host key"}},
		{"openkey", []string{"key", "authentication", rest}, "key", []string{open, "mode 0644", "chmod 600 " + open}, []string{"host key"}},
		{"lockedkey", []string{"key", "authentication", rest}, "key", []string{"passphrase", "ssh-add "}, []string{"host key"}},
		{"viacommand", []string{"ssh config", rest}, "ssh config", []string{"ProxyCommand", "ProxyJump"}, nil},
		{"behind", []string{"port", rest}, "port", []string{"box cannot reach it"}, []string{"box: port", "box: host key", "box: authentication", "name"}},
		{"twokeys", nil, "", nil, []string{"key", "authentication", "sessions"}},
		{"noagent", nil, "", nil, []string{"key", "authentication", "sessions"}},
		{"warned", nil, "", nil, []string{"ssh options", "sessions"}},
	}
	for _, tt := range tests {
		t.Run(tt.host, func(t *testing.T) {
			t.Parallel()
			e := s.in(t).examine(t, tt.host)
			e.fails(tt.fails...)
			if tt.has != "" {
				e.has(tt.has, false, tt.words...)
			}
			for _, name := range tt.good {
				e.has(name, true)
			}
			if len(tt.fails) > 0 && e.checks[len(e.checks)-1].Check != rest {
				t.Errorf("the last check is no %q:\n%s", rest, e)
			}
		})
	}
	s.clean(t)
}

// TestDoctorJump: both hops of a way are looked at, the first under its name.
func TestDoctorJump(t *testing.T) {
	t.Parallel()
	jump := sshd.New(t, sshd.Options{Alias: "bastion"})
	s := newStation(t, sshd.Options{Jump: jump}, "")
	e := s.examine(t, "box")
	e.fails()
	for _, name := range []string{"bastion: port", "bastion: ssh server", "bastion: host key", "bastion: authentication", "port", "host key", "authentication", "sessions"} {
		e.has(name, true)
	}
	e.has("port", true, "through bastion")
}

// TestDoctorLanguages: what each language needs is found, over SSH and on this machine.
func TestDoctorLanguages(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	tools.Need(t, tools.Node)
	tools.Need(t, tools.Java)
	path := strings.Join([]string{filepath.Dir(python), filepath.Dir(tools.NeedDlv(t)), os.Getenv("PATH")}, ":")
	server := sshd.New(t, sshd.Options{Env: map[string]string{"PATH": path}})
	s := station{brokertest.New(t, brokertest.Options{Server: server, Env: []string{"PATH=" + path}}), server}
	for _, host := range []string{"box", ""} {
		for lang, has := range map[string][]string{
			"python": {"python", "debugpy"}, "go": {"delve", "go", "delve and go"}, "node": {"node"}, "java": {"java", "debug agent", "jcmd"},
		} {
			t.Run(host+":"+lang, func(t *testing.T) {
				t.Parallel()
				e := s.in(t).examine(t, host+":"+lang)
				for _, name := range append(has, "system", "workspace") {
					e.has(name, true)
				}
				if lang == "go" {
					e.has("delve", true, "1.27")
					e.has("attach", true, "Delve may trace")
				}
			})
		}
	}
	t.Run("nothing there", func(t *testing.T) {
		t.Parallel()
		bare := bareHost(t)
		bare.examine(t, "box:go").has("delve", false, "go install")
	})
	s.clean(t)
}

// bareHost is a host without debug servers.
func bareHost(t *testing.T) station {
	bin := t.TempDir()
	for _, name := range []string{
		"sh", "cat", "id", "uname", "awk", "sed", "grep", "tr", "date", "df", "mkdir", "rm", "chmod", "find", "sleep", "head", "sort", "tail", "readlink", "ls", "getent", "env", "ps",
	} {
		if file, err := exec.LookPath(name); err == nil {
			if err := os.Symlink(file, filepath.Join(bin, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return newStation(t, sshd.Options{Env: map[string]string{"PATH": bin, "GOPATH": "", "GOBIN": ""}}, "")
}

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

// TestDoctorUsage: what names no host is refused before anything is asked.
func TestDoctorUsage(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	for _, arg := range []string{"-oProxyCommand=x", "a b", "box:cobol", "::1", "", "$(id)"} {
		s.complains(t, complaint{2, api.CodeUsage, nil}, "doctor", "--", arg)
	}
}
