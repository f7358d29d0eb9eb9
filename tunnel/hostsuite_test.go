package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// testHost is what every Host must hold. The far side of h must be this machine, as this user: the tests look at the process table
// and the files themselves.
func testHost(t *testing.T, h Host) {
	for name, test := range map[string]func(*testing.T, Host){
		"facts": suiteFacts, "run": suiteRun, "run cancelled": suiteRunCancelled, "words": suiteWords, "exits": suiteExits,
		"start refused": suiteStartRefused, "reap": suiteReap, "reap deceived": suiteReapDeceived, "reap odd name": suiteReapOddName,
		"release": suiteRelease, "normal end": suiteNormalEnd,
		"heirs": suiteHeirs, "adopt": suiteAdopt, "workspace": suiteWorkspace, "files": suiteFiles, "listeners": suiteListeners, "listeners deceived": suiteListenersDeceived,
		"processes": suiteProcesses, "processes traced": suiteProcessTraced, "processes of others": suiteProcessesOfOthers,
		"processes vanish": suiteProcessesVanish, "processes crowd": suiteProcessesCrowd,
		"stdin": suiteStdin, "stdin talk": suiteStdinTalk, "stdin ends": suiteStdinEnds, "stdin unread": suiteStdinUnread, "reap gdb": suiteReapGdb,
		"back pressure": suiteBackPressure, "big arguments": suiteBigArguments,
	} {
		t.Run(name, func(t *testing.T) { test(t, h) })
	}
}

func suiteContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// suiteDir makes a workspace that is gone at the test's end, whatever the test left in it.
func suiteDir(t *testing.T, h Host) string {
	t.Helper()
	ws := path.Join("/tmp", NewWorkspaceName())
	if err := h.MakeWorkspace(suiteContext(t), ws); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if left, err := h.Reap(ctx, ws); err != nil || len(left) > 0 {
			t.Errorf("cleaning up: left %q, %v", left, err)
		}
		os.RemoveAll(ws)
	})
	return ws
}

func suiteSh(t *testing.T, h Host, ws, text string, args ...string) Process {
	t.Helper()
	p, err := h.Start(suiteContext(t), Spec{Workspace: ws, Argv: append([]string{"/bin/sh", "-c", text, "sh"}, args...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Release)
	return p
}

// runs looks into the process table itself: true while pid runs with that start time and is no zombie.
func runs(id ProcessID) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id.PID))
	if err != nil {
		return false
	}
	f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	return f[0] != "Z" && f[0] != "X" && f[19] == id.Start
}

func identify(t *testing.T, pid int) ProcessID {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	return ProcessID{Boot: strings.TrimSpace(string(boot)), PID: pid, Start: f[19]}
}

// members gives the living processes of a session.
func members(session int) (ids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if f[3] == strconv.Itoa(session) && f[0] != "Z" && f[0] != "X" {
			pid, _ := strconv.Atoi(path.Base(path.Dir(name)))
			ids = append(ids, pid)
		}
	}
	return ids
}

// eventually awaits what another process does and tells nobody.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func readLine(t *testing.T, r io.Reader) string {
	t.Helper()
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := r.Read(one)
		if n == 1 && one[0] == '\n' {
			return string(line)
		}
		line = append(line, one[:n]...)
		if err != nil {
			t.Fatalf("after %q: %v", line, err)
		}
	}
}

func linePID(t *testing.T, r io.Reader) int {
	t.Helper()
	pid, err := strconv.Atoi(readLine(t, r))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

func suiteFacts(t *testing.T, h Host) {
	f, err := h.Facts(suiteContext(t))
	if err != nil {
		t.Fatal(err)
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if f.OS != "linux" || f.UID != os.Getuid() || f.BootID != strings.TrimSpace(string(boot)) || !f.HasProc {
		t.Errorf("facts: %+v", f)
	}
	for what, p := range map[string]string{"Home": f.Home, "Shell": f.Shell, "TempDir": f.TempDir} {
		if !exists(p) {
			t.Errorf("%s: %q", what, p)
		}
	}
	if !strings.Contains(f.Path, "/bin") {
		t.Errorf("Path: %q", f.Path)
	}
	again, err := h.Facts(suiteContext(t))
	if err != nil || again != f {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func suiteRun(t *testing.T, h Host) {
	for _, test := range []struct {
		script, out, err string
		code             int
	}{
		{"echo a; echo b >&2; exit 3", "a\n", "b\n", 3},
		{"", "", "", 0},
		{"printf 'no end'", "no end", "", 0},
		{"printf '\\000\\377'", "\x00\xff", "", 0},
		{"cat", "", "", 0}, // input is empty
		{"} ; echo out", "", "", 2},
		{"kill -9 $$; exit 7", "", "", 7},
	} {
		if strings.Contains(test.script, "kill -9") {
			if res, err := h.Run(suiteContext(t), test.script); err == nil {
				t.Errorf("%q: %+v", test.script, res)
			}
			continue
		}
		res, err := h.Run(suiteContext(t), test.script)
		if err != nil {
			t.Errorf("%q: %v", test.script, err)
			continue
		}
		if string(res.Stdout) != test.out || res.Code != test.code || test.code < 2 && string(res.Stderr) != test.err {
			t.Errorf("%q: %q, %q, %d", test.script, res.Stdout, res.Stderr, res.Code)
		}
	}
	if _, err := h.Run(suiteContext(t), "echo \x00"); !errors.Is(err, errNUL) {
		t.Errorf("NUL: %v", err)
	}
	res, err := h.Run(suiteContext(t), "head -c 4194304 /dev/zero; head -c 1000000 /dev/zero >&2; echo end >&2")
	if err != nil || len(res.Stdout) != maxStdout || len(res.Stderr) != maxStderr || !bytes.HasSuffix(res.Stderr, []byte("end\n")) {
		t.Errorf("at the limits: %d, %d, %v", len(res.Stdout), len(res.Stderr), err)
	}
	if _, err := h.Run(suiteContext(t), "cat /dev/zero"); !errors.Is(err, errTooMuch) {
		t.Errorf("endless output: %v", err)
	}
	// A background heir of the output does not hold the answer.
	began := time.Now()
	if _, err := h.Run(suiteContext(t), "sleep 20 & echo $!"); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("heir: %v after %s", err, time.Since(began))
	}
}

func suiteRunCancelled(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	ctx, cancel := context.WithCancel(suiteContext(t))
	ended := make(chan error, 1)
	go func() {
		_, err := h.Run(ctx, "trap '' TERM; sh -c 'echo $PPID $$ >"+ws+"/pids.new; mv "+ws+"/pids.new "+ws+"/pids; exec sleep 1000'")
		ended <- err
	}()
	eventually(t, "the script runs", func() bool { return exists(ws + "/pids") })
	data, _ := os.ReadFile(ws + "/pids")
	var ids []ProcessID
	for _, f := range strings.Fields(string(data)) {
		pid, _ := strconv.Atoi(f)
		ids = append(ids, identify(t, pid))
	}
	if len(ids) != 2 || !runs(ids[1]) {
		t.Fatalf("pids %v", ids)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	eventually(t, "the script's processes are gone", func() bool { return !runs(ids[0]) && !runs(ids[1]) })
}
