package integration_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// The accounts of a house; nobody else on this machine has such numbers.
const (
	ada = 64201 // logs in
	bob = 64202
)

// house is a station whose host has accounts of its own: ada logs in, who is not root, and bob has programs there. Only the server
// sees these accounts, and what they may do with sudo.
type house struct {
	station
	dir string // everybody may read what is in it
}

// houseOptions are what differs from one house to another.
type houseOptions struct {
	sudoers string            // the rules of sudo; "" lets nobody do anything
	private string            // more for sshd.Options.Private
	env     map[string]string // of every command
	path    string            // in front of the PATH
	secret  string            // ada's password as /etc/shadow has it; "" is none
	lines   []string          // of sshd_config, before all others
	pam     string            // /etc/pam.d/sshd; "" is the machine's
}

// newHouse needs root.
func newHouse(t *testing.T, o houseOptions) house {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("accounts of its own, in a mount namespace, take root")
	}
	dir := readable(t)
	passwd, group, shadow := slurp(t, "/etc/passwd"), slurp(t, "/etc/group"), slurp(t, "/etc/shadow")
	secrets := map[string]string{"ada": cmp.Or(o.secret, "*"), "bob": "*"}
	for name, id := range map[string]int{"ada": ada, "bob": bob} {
		home := filepath.Join(dir, name)
		passwd += fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", name, id, id, home)
		group += fmt.Sprintf("%s:x:%d:\n", name, id)
		shadow += name + ":" + secrets[name] + ":19000:0:99999:7:::\n"
		if err := os.Mkdir(home, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(home, id, id); err != nil {
			t.Fatal(err)
		}
	}
	path := strings.TrimPrefix(o.path+":", ":") + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH")
	env := map[string]string{"HOME": filepath.Join(dir, "ada"), "PATH": path}
	for k, v := range o.env {
		env[k] = v
	}
	private, pamOver := "", ""
	if o.pam != "" {
		pamOver = "/etc/pam.d/sshd"
	}
	for _, f := range []struct {
		name, over, text string
		mode             os.FileMode
	}{
		{"passwd", "/etc/passwd", passwd, 0o644}, {"group", "/etc/group", group, 0o644}, {"shadow", "/etc/shadow", shadow, 0o600},
		{"sudoers", "/etc/sudoers", "Defaults env_keep += \"DEBUGBROKER_TEST_MARK\"\nroot ALL=(ALL:ALL) ALL\n" + o.sudoers + "\n", 0o440},
		{"pam", pamOver, o.pam, 0o644},
		{"ada/.profile", "", "PATH='" + env["PATH"] + "'; export PATH\n", 0o644},
	} {
		put(t, filepath.Join(dir, f.name), []byte(f.text), f.mode)
		if f.over != "" {
			private += fmt.Sprintf("[ ! -e %[2]s ] || mount --bind '%[1]s' %[2]s\n", filepath.Join(dir, f.name), f.over)
		}
	}
	s := sshd.New(t, sshd.Options{Env: env, Private: private + o.private, Lines: o.lines})
	s.AddHost(sshd.Alias, "User ada")
	for _, path := range []string{filepath.Dir(s.Dir()), s.Dir()} {
		if err := os.Chmod(path, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(s.Dir(), "authorized_keys"), 0o644); err != nil { // sshd reads it as ada
		t.Fatal(err)
	}
	if err := os.Chown(s.TempDir(), ada, ada); err != nil {
		t.Fatal(err)
	}
	return house{station{brokertest.New(t, brokertest.Options{Server: s}), s}, dir}
}

// start has a user start a program, and waits until it ticks.
func (h house) start(t *testing.T, uid uint32, argv ...string) *byHand {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = h.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return startCommand(t, "tick", cmd)
}

// give copies a file to where everybody on the host can read and run it.
func (h house) give(t *testing.T, file string) string {
	t.Helper()
	path := filepath.Join(h.dir, "bin", filepath.Base(file))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, path, []byte(slurp(t, file)), 0o755)
	return path
}

// crowd are tickers in the languages, and how they are started. gdb must work for python, dlv for go.
func (h house) crowd(t *testing.T) map[string][]string {
	t.Helper()
	h.give(t, tools.NeedDlv(t))
	return map[string][]string{
		"python": {tools.Need(t, tools.Python), h.give(t, programs.Path(t, "python/ticker.py"))},
		"go":     {h.give(t, programs.BuildGo(t, "ticker"))},
		"node":   {tools.Need(t, tools.Node), h.give(t, programs.Path(t, "node/ticker.js"))},
	}
}

// readable makes a directory that every user can enter.
func readable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func put(t *testing.T, path string, text []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, text, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

func slurp(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pid is the program's, as a flag takes it.
func (h *byHand) pid() string { return strconv.Itoa(h.cmd.Process.Pid) }

// untouched demands that the program goes on as if nobody had looked at it: not traced, not stopped, not signalled.
func (h *byHand) untouched() {
	h.t.Helper()
	h.runsOn()
	untraced(h.t, h.cmd.Process.Pid)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, line := range h.last {
		if strings.Contains(line, "Debugger listening") { // node's answer to SIGUSR1; the others would have died of it
			h.t.Errorf("process %d got SIGUSR1: %q", h.cmd.Process.Pid, line)
		}
	}
}
