package integration_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// apart starts a program in namespaces of its own, as a container has them, and returns its pid outside of them.
func apart(t *testing.T, argv ...string) (*byHand, int) {
	t.Helper()
	if out, err := exec.Command("unshare", "--mount", "--pid", "--net", "--fork", "--mount-proc", "true").CombinedOutput(); err != nil {
		t.Skipf("no namespaces of one's own: %v: %s", err, out)
	}
	h := startByHand(t, 0, "tick", append([]string{"unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"}, argv...)...)
	child := strings.Fields(slurp(t, fmt.Sprintf("/proc/%s/task/%[1]s/children", h.pid())))
	if len(child) != 1 {
		t.Fatalf("children of unshare: %q", child)
	}
	pid, err := strconv.Atoi(child[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) }) // the first process of a namespace does not hear SIGTERM
	return h, pid
}

// TestAttachIntoOtherNamespaces needs root. Delve works from outside; what would have to load files or connect inside is refused.
func TestAttachIntoOtherNamespaces(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	jdk := tools.Need(t, tools.Java)
	for lang, argv := range map[string][]string{
		"python": {tools.Need(t, tools.Python), programs.Path(t, "python/ticker.py")},
		"node":   {tools.Need(t, tools.Node), programs.Path(t, "node/ticker.js")},
		"java":   {jdk.Java, "-cp", programs.BuildJava(t, jdk), "Ticker"},
	} {
		h, pid := apart(t, argv...)
		s.complains(t, complaint{1, api.CodeUnsuitable, []string{"process " + strconv.Itoa(pid), "runs in a container (other namespaces)", "inside of the container"}}, "open", "box:"+lang, "--pid", strconv.Itoa(pid))
		if p := shown(t, s, "box:"+lang)[pid]; p.Container != "other namespaces" {
			t.Errorf("%s: ps says %+v", lang, p)
		}
		h.untouched()
		untraced(t, pid)
	}
	k := attachGo(t)
	h, pid := apart(t, k.argv...)
	v := s.Open("box:go", "--interpreter", tools.NeedDlv(t), "--pid", strconv.Itoa(pid))
	if !strings.Contains(strings.Join(v.Warnings, "\n"), "container (other namespaces)") {
		t.Errorf("warnings: %q", v.Warnings)
	}
	leave, _ := k.stops(t, v.Local)
	leave()
	h.runsOn()
	closeAttached(t, s.Broker, "go", v.ID)
	h.runsOn()
	untraced(t, pid)
}

// grouped starts a program in a control group of its own below ours, of a name that a container's would have.
func grouped(t *testing.T, name string, argv ...string) *byHand {
	t.Helper()
	var dirs []string
	for line := range strings.Lines(slurp(t, "/proc/self/cgroup")) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		root := map[string]string{"": "/sys/fs/cgroup/unified", "name=systemd": "/sys/fs/cgroup/systemd"}[f[1]]
		if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil && f[1] == "" {
			root = "/sys/fs/cgroup"
		}
		if root == "" {
			continue
		}
		top := filepath.Join(root, f[2], fmt.Sprintf("debugbroker-test-%d", os.Getpid()))
		dir := filepath.Join(top, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Skipf("no control group can be made: %v", err)
		}
		t.Cleanup(func() {
			for path := dir; strings.HasPrefix(path, top); path = filepath.Dir(path) {
				if err := os.Remove(path); err != nil {
					t.Errorf("remove a control group: %v", err)
				}
			}
		})
		dirs = append(dirs, filepath.Join(dir, "cgroup.procs"))
	}
	if len(dirs) == 0 {
		t.Skip("no control groups here")
	}
	join := `while [ "$1" != -- ]; do echo $$ >"$1" || exit; shift; done; shift; exec "$@"`
	return startByHand(t, 0, "tick", append(append([]string{"/bin/sh", "-c", join, "sh"}, dirs...), append([]string{"--"}, argv...)...)...)
}

// TestAttachIntoAContainer is told by the control group. It needs one that can be written to.
func TestAttachIntoAContainer(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	id := strings.Repeat("3f2a91c0ffee", 6)[:64]
	h := grouped(t, "docker/"+id, tools.Need(t, tools.Python), programs.Path(t, "python/ticker.py"))
	s.complains(t, complaint{1, api.CodeUnsuitable, []string{"process " + h.pid(), "runs in a container (docker 3f2a91c0ffee)"}}, "open", "box:python", "--pid", h.pid())
	if p := shown(t, s, "box:python")[h.cmd.Process.Pid]; p.Container != "docker 3f2a91c0ffee" {
		t.Errorf("ps says %+v", p)
	}
	h.untouched()
	// Its end before that of its group.
	h.cmd.Process.Signal(syscall.SIGKILL)
	h.reap()
}

// TestAttachWithoutProc needs root.
func TestAttachWithoutProc(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("another /proc takes root")
	}
	s := newStation(t, sshd.Options{Private: "mount -t tmpfs tmpfs /proc"}, "")
	s.clean(t)
	h := startByHand(t, 0, "tick", tools.Need(t, tools.Python), programs.Path(t, "python/ticker.py"))
	want := complaint{6, api.CodeMissingTool, []string{"read the processes of box", "/proc"}}
	for _, flag := range []string{"--pid=" + h.pid(), "--match=ticker", "--unit=ticker"} {
		s.complains(t, want, "open", "box:python", flag)
	}
	s.complains(t, want, "ps", "box")
	h.untouched()
}
