package tunnel

import (
	"context"
	"errors"
	"net"
	"os"
	"path"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/integration/executable"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// needSudo is for tests of the real sudo, which only root can have without a password on any machine.
func needSudo(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs to be root: sudo would ask others for a password")
	}
	tools.NeedShell(t, "sudo")
}

// rootSuite is what a Host of AsRoot must hold, like any other.
var rootSuite = map[string]func(*testing.T, Host){
	"facts": suiteFacts, "run": suiteRun, "run cancelled": suiteRunCancelled, "words": suiteWords, "exits": suiteExits,
	"start refused": suiteStartRefused, "reap": suiteReap, "release": suiteRelease, "heirs": suiteHeirs, "adopt": suiteAdopt,
	"workspace": suiteWorkspace, "files": suiteFiles, "processes": suiteProcesses, "stdin": suiteStdin, "stdin talk": suiteStdinTalk,
	"stdin unread": suiteStdinUnread,
}

func TestLocalAsRoot(t *testing.T) {
	needSudo(t)
	defer goleak.VerifyNone(t)
	h := NewLocal(LocalOptions{})
	defer h.Release()
	for name, test := range rootSuite {
		t.Run(name, func(t *testing.T) { test(t, h.AsRoot()) })
	}
}

func TestAsRootOverSSHD(t *testing.T) {
	needSudo(t)
	t.Cleanup(func() { goleak.VerifyNone(t) })
	h := overSSHD(t, sshd.Options{Shell: tools.NeedShell(t, "fish"), Noise: "noise\nsudo make me a sandwich"})
	for _, name := range []string{"facts", "run cancelled", "words", "exits", "heirs", "release", "stdin"} {
		t.Run(name, func(t *testing.T) { rootSuite[name](t, h.AsRoot()) })
	}
}

// nobodysHost is a Host whose login user is nobody. sudoers is what the file system that its shells see has in /etc/sudoers.d.
func nobodysHost(t *testing.T, sudoers string) Host {
	t.Helper()
	needSudo(t)
	for _, tool := range []string{"unshare", "setpriv", "mount"} {
		tools.NeedShell(t, tool)
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/rule", []byte(sudoers), 0o440); err != nil {
		t.Fatal(err)
	}
	inside, err := quote("mount --bind " + dir + " /etc/sudoers.d && exec setpriv --reuid 65534 --regid 65534 --clear-groups --reset-env /bin/sh -c \"$1\"")
	if err != nil {
		t.Fatal(err)
	}
	return throughHost(t, "exec unshare -m /bin/sh -c "+inside+" sh %s")
}

func TestSudoOfAnotherUser(t *testing.T) {
	h := nobodysHost(t, "nobody ALL=(root) NOPASSWD: ALL\n")
	root := h.AsRoot()
	if root != h.AsRoot() || root != root.AsRoot() {
		t.Error("several")
	}
	login, err := h.Facts(t.Context())
	if err != nil || login.UID != 65534 {
		t.Fatalf("%+v, %v", login, err)
	}
	facts, err := root.Facts(t.Context())
	if err != nil || facts.UID != 0 || facts.User != "root" || facts.Home != "/root" || facts.BootID != login.BootID {
		t.Fatalf("%+v, %v", facts, err)
	}
	ws := suiteDir(t, root)
	p := suiteSh(t, root, ws, "id -u; exec sleep 1000")
	if uid := readLine(t, p.Stdout()); uid != "0" {
		t.Errorf("it runs as %s", uid)
	}
	if left, err := h.Reap(t.Context(), ws); err != nil || len(left) != 1 || !runs(p.ID()) {
		t.Errorf("nobody reaped root's: %q, %v", left, err)
	}
	handOver(t, h, root, ws)
	if left, err := root.Reap(t.Context(), ws); err != nil || len(left) != 0 || runs(p.ID()) || exists(ws) {
		t.Errorf("left %q, %v", left, err)
	}
}

// TestSudoReleased: what runs as root ends with us as well.
func TestSudoReleased(t *testing.T) {
	h := nobodysHost(t, "nobody ALL=(root) NOPASSWD: ALL\n")
	root := h.AsRoot()
	ws := path.Join("/tmp", NewWorkspaceName())
	if err := root.MakeWorkspace(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	p := suiteSh(t, root, ws, "trap '' TERM; echo up; while :; do sleep 1; done")
	readLine(t, p.Stdout())
	root.Release()
	<-h.Done()
	<-root.Done()
	eventually(t, "it is gone", func() bool { return !runs(p.ID()) && !exists(ws) && len(members(p.ID().PID)) == 0 })
	if _, err := root.Run(t.Context(), "true"); !errors.Is(err, ErrReleased) {
		t.Errorf("released: %v", err)
	}
}

// handOver has a socket of root's in ws made the login user's, and nothing else.
func handOver(t *testing.T, h, root Host, ws string) {
	t.Helper()
	socket := path.Join(ws, "dlv.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	precious := t.TempDir() + "/file"
	outside := path.Join(path.Dir(precious), "sock")
	other, err := net.Listen("unix", outside)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, err := range []error{
		os.WriteFile(precious, nil, 0o644), os.Symlink(precious, ws+"/link"), os.Symlink(outside, ws+"/socklink"), os.Mkdir(ws+"/sub", 0o700),
		os.WriteFile(ws+"/plain", nil, 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"link", "socklink", "plain", "none", "sub", "sub/../dlv.sock", "../" + path.Base(ws) + "/dlv.sock", "", "."} {
		if err := root.HandOver(t.Context(), ws, ws+"/"+bad); err == nil {
			t.Errorf("handed over %q", bad)
		}
	}
	if err := root.HandOver(t.Context(), ws, outside); err == nil {
		t.Error("handed over a socket elsewhere")
	}
	if err := root.HandOver(t.Context(), path.Dir(outside), outside); !errors.Is(err, errWorkspace) {
		t.Errorf("no workspace: %v", err)
	}
	reach := func(uid string) bool {
		res, err := h.AsRoot().Run(context.WithoutCancel(t.Context()), "setpriv --reuid "+uid+" --regid 65534 --clear-groups /bin/sh -c '[ -r "+socket+" ] && [ -w "+socket+" ]'")
		if err != nil {
			t.Fatal(err)
		}
		return res.Code == 0
	}
	if reach("65534") {
		t.Error("within reach before")
	}
	for _, host := range []Host{root, h} { // either will do, and twice
		if err := host.HandOver(t.Context(), ws, socket); err != nil {
			t.Fatal(err)
		}
	}
	if !reach("65534") || reach("54321") {
		t.Errorf("nobody reaches it: %v; others do: %v", reach("65534"), reach("54321"))
	}
	for name, want := range map[string]os.FileMode{ws: os.ModeDir | 0o711, socket: os.ModeSocket | 0o600, precious: 0o644, ws + "/plain": 0o644} {
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		uid := info.Sys().(*syscall.Stat_t).Uid
		if info.Mode() != want || (uid == 65534) != (name == socket) {
			t.Errorf("%s: %v of user %d", name, info.Mode(), uid)
		}
	}
	res, err := h.Run(t.Context(), "ls "+ws+" 2>&1; : >"+ws+"/x; rm "+socket)
	if err != nil || res.Code == 0 || !exists(socket) || exists(ws+"/x") || strings.Contains(string(res.Stdout), "dlv.sock\n") {
		t.Errorf("the login user lists or changes it: %+v, %v", res, err)
	}
}

// TestSudoRefuses asks the real sudo for what it does not grant, and plays the others.
func TestSudoRefuses(t *testing.T) {
	defer goleak.VerifyNone(t)
	refused := func(t *testing.T, h Host, says string) {
		t.Helper()
		root := h.AsRoot()
		_, runErr := root.Run(t.Context(), "true")
		_, startErr := root.Start(t.Context(), Spec{Workspace: "/tmp/" + NewWorkspaceName(), Argv: []string{"/bin/true"}})
		_, factsErr := root.Facts(t.Context())
		for _, err := range []error{runErr, startErr, factsErr} {
			if !errors.Is(err, ErrSudo) || !strings.Contains(err.Error(), says) || len(err.Error()) > 2*maxErrorText || strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("%v", err)
			}
		}
		if _, err := h.Run(t.Context(), "true"); err != nil {
			t.Errorf("without sudo: %v", err)
		}
	}
	t.Run("no rule", func(t *testing.T) { refused(t, nobodysHost(t, "# none\n"), "sudo: a password is required") })
	t.Run("another program", func(t *testing.T) {
		refused(t, nobodysHost(t, "nobody ALL=(root) NOPASSWD: /bin/true\n"), "sudo: ")
	})
	for name, test := range map[string]struct{ stub, says string }{
		"not installed":  {"", "sudo: not found"},
		"requiretty":     {"echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1", "you must have a tty"},
		"not in sudoers": {"echo 'bob is not in the sudoers file.' >&2; exit 1", "bob is not in the sudoers file."},
		"another tongue": {"echo 'nein' >&2; exit 1", "nein"},
		"hostile":        {`printf 'sudo: a\033[2Jb\n' >&2; head -c 300000 /dev/zero | tr '\000' x >&2; exit 1`, "xxx"},
		"silent":         {"exit 1", "exit 1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, tool := range []string{"head", "tr", "printf"} {
				if err := os.Symlink(tools.NeedShell(t, tool), dir+"/"+tool); err != nil {
					t.Fatal(err)
				}
			}
			if test.stub != "" {
				executable.Write(t, dir+"/sudo", []byte("#!/bin/sh\n"+test.stub+"\n"))
			}
			refused(t, throughHost(t, "echo hello >&2; PATH="+dir+"; export PATH; exec /bin/sh -c %s"), test.says)
		})
	}
}
