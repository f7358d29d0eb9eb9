package tunnel

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/debugbroker/debugbroker/integration/executable"
)

// specimen is a process to be found in the process table: an sh that runs until the test has ended.
func specimen(t *testing.T, script string, change func(*exec.Cmd), args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/bin/sh", append([]string{"-c", script + "\necho up; read x", "sh"}, args...)...)
	if change != nil {
		change(cmd)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd
}

func processTable(t *testing.T, h Host) map[int]ProcessInfo {
	t.Helper()
	list, err := h.Processes(suiteContext(t))
	if err != nil {
		t.Fatal(err)
	}
	table := map[int]ProcessInfo{}
	for _, p := range list {
		if _, twice := table[p.ID.PID]; twice {
			t.Errorf("twice: %+v", p)
		}
		table[p.ID.PID] = p
	}
	return table
}

func suiteProcesses(t *testing.T, h Host) {
	dir := t.TempDir() + "/a dir\nself/environ é"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	deleted := dir + "/gone\n1/exe -> x"
	if err := os.MkdirAll(filepath.Dir(deleted), 0o700); err != nil {
		t.Fatal(err)
	}
	executable.Write(t, deleted, data)
	inDir := func(cmd *exec.Cmd) { cmd.Dir = dir }
	odd := specimen(t, `trap : USR1; printf 'a) S 1\nState:\tZ\n(' >/proc/$$/comm`, inDir, append(slices.Clone(torture), "State:\tZ (zombie)", "1 (x) S 1 1 1")...)
	forged := specimen(t, "", nil, "dbk_mark=0123456789abcdef0123456789abcdef", "1\n2\n3\n/bin/sh\n", "end")
	long := specimen(t, "", nil, "first", strings.Repeat("x", 100<<10), "last")
	stopped := specimen(t, "", nil)
	syscall.Kill(stopped.Process.Pid, syscall.SIGSTOP)
	gone := exec.Command(deleted, "1000")
	if err := gone.Start(); err != nil {
		t.Fatal(err)
	}
	defer gone.Wait()
	defer gone.Process.Kill()
	os.Remove(deleted)
	zombie := exec.Command("/bin/sh", "-c", "exit")
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	defer zombie.Wait()
	for _, pid := range []int{stopped.Process.Pid, zombie.Process.Pid} {
		eventually(t, "it is stopped or a zombie", func() bool {
			data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			return strings.Contains(string(data), "State:\tT") || strings.Contains(string(data), "State:\tZ")
		})
	}
	mapLibraries(t)

	table := processTable(t, h)
	for name, cmd := range map[string]*exec.Cmd{"odd": odd, "forged": forged, "stopped": stopped, "long": long} {
		p, ok := table[cmd.Process.Pid]
		if !ok {
			t.Errorf("%s: not found", name)
			continue
		}
		argv, state, cwd := cmd.Args, "S", p.Cwd
		switch name {
		case "odd":
			cwd = dir
		case "stopped":
			state = "T"
		case "long":
			argv = argv[:5]
			p.Argv = p.Argv[:min(5, len(p.Argv))]
		}
		if !slices.Equal(p.Argv, argv) || p.Exe != shell || p.State != state || p.Cwd != cwd || p.Cwd == "" || p.Tracer != 0 || p.Container != "" || len(p.Marks) > 0 {
			t.Errorf("%s: %.2000q", name, fmt.Sprintf("%+v", p))
		}
		if p.ID != identify(t, p.ID.PID) || p.Parent != os.Getpid() || p.UID != os.Getuid() || p.User != me(t) {
			t.Errorf("%s: %v of %v, parent %d, user %d %q", name, p.ID, identify(t, cmd.Process.Pid), p.Parent, p.UID, p.User)
		}
		if usr1 := p.Caught>>(syscall.SIGUSR1-1)&1 == 1; usr1 != (name == "odd") {
			t.Errorf("%s: caught %x", name, p.Caught)
		}
	}
	if p := table[gone.Process.Pid]; p.Exe != deleted || p.Argv[0] != deleted {
		t.Errorf("deleted: %q, %q", p.Exe, p.Argv)
	}
	if p := table[os.Getpid()]; !slices.Equal(p.Marks, []string{"go", "libjvm", "libnode", "libpython"}) {
		t.Errorf("marks of this test: %q", p.Marks)
	}
	if p, ok := table[zombie.Process.Pid]; ok {
		t.Errorf("zombie: %+v", p)
	}
	if name, _ := os.ReadFile("/proc/2/comm"); string(name) == "kthreadd\n" && table[2].ID.PID != 0 {
		t.Errorf("the kernel's: %+v", table[2])
	}
	for _, p := range table {
		if slices.Contains(p.Argv, "self/environ") || len(p.Argv) > 0 && p.Argv[0] == "readlink" {
			t.Errorf("the script's own: %+v", p)
		}
	}
}

// mapLibraries makes this process one that has libraries of those names.
func mapLibraries(t *testing.T) {
	t.Helper()
	for _, name := range []string{"libpython3.11d.so.1.0", "libjvm.so", "libnode.so.108", "notlibnode.so", "libpythonic.txt"} {
		f, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(4096); err != nil {
			t.Fatal(err)
		}
		mem, err := syscall.Mmap(int(f.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Munmap(mem) })
	}
}

// suiteProcessTraced has this test trace a program, as a debugger does.
func suiteProcessTraced(t *testing.T, h Host) {
	runtime.LockOSThread() // the thread that traces
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/bin/sh", "-c", "read x")
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, 0, nil); err != nil || !status.Stopped() {
		t.Fatalf("%v, %v", status, err)
	}
	if p := processTable(t, h)[cmd.Process.Pid]; p.State != "t" || p.Tracer != os.Getpid() {
		t.Errorf("traced by %d: %+v", os.Getpid(), p)
	}
}

func suiteProcessesOfOthers(t *testing.T, h Host) {
	if os.Getuid() != 0 {
		t.Skip("only root can be other users and make namespaces")
	}
	as := func(attr syscall.SysProcAttr) *exec.Cmd {
		return specimen(t, "", func(cmd *exec.Cmd) { cmd.Dir, cmd.SysProcAttr = "/", &attr })
	}
	nobody := as(syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
	nameless := as(syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}})
	pids := as(syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID})
	network := as(syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET})
	mounts := as(syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS})
	table := processTable(t, h)
	for name, want := range map[string]struct {
		cmd             *exec.Cmd
		uid             int
		user, container string
	}{
		"nobody": {nobody, 65534, "nobody", ""}, "nameless": {nameless, 54321, "54321", ""},
		"process namespace": {pids, 0, "root", otherNamespaces}, "network namespace": {network, 0, "root", otherNamespaces},
		"mounts of its own on our root": {mounts, 0, "root", ""},
	} {
		p := table[want.cmd.Process.Pid]
		if p.UID != want.uid || p.User != want.user || p.Container != want.container || p.Cwd != "/" || !slices.Equal(p.Argv, want.cmd.Args) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// suiteProcessesVanish has processes come and go while the table is read.
func suiteProcessesVanish(t *testing.T, h Host) {
	stays := specimen(t, "", nil)
	churn := exec.Command("/bin/sh", "-c", "while :; do /bin/true & /bin/true; wait; done")
	if err := churn.Start(); err != nil {
		t.Fatal(err)
	}
	defer churn.Wait()
	defer churn.Process.Kill()
	for range 4 {
		table := processTable(t, h)
		if p := table[stays.Process.Pid]; !slices.Equal(p.Argv, stays.Args) || p.ID != identify(t, stays.Process.Pid) {
			t.Errorf("%+v", p)
		}
		for pid, p := range table {
			if pid != p.ID.PID || !p.ID.valid() && pid != 1 || p.State == "" || p.User == "" {
				t.Errorf("%+v", p)
			}
		}
	}
}

// suiteProcessesCrowd reads many, whose command lines together are more than the answer may hold.
func suiteProcessesCrowd(t *testing.T, h Host) {
	cmd := exec.Command("/bin/sh", "-c", `exec 3<&0; i=0; while [ $i -lt 600 ]; do /bin/sh -c 'read x <&3' sh "$1" "$1" & i=$((i+1)); done; echo up; wait`, "sh", strings.Repeat("0123456789abcdef", 4096-1))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer io.Copy(io.Discard, out)
	defer in.Close()
	readLine(t, out)
	found := 0
	for _, p := range processTable(t, h) {
		if p.Parent == cmd.Process.Pid && len(p.Argv) >= 5 && strings.HasPrefix(p.Argv[4], "0123456789") && p.UID == os.Getuid() {
			found++
		}
	}
	if found != 600 {
		t.Errorf("%d of 600", found)
	}
}
