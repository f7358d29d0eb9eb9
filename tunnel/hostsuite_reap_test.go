package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
)

func suiteReap(t *testing.T, h Host) {
	for name, test := range map[string]struct {
		text  string // prints the pids that must be gone
		pids  int
		spare bool
	}{
		"plain":           {"echo $$; exec sleep 1000", 1, false},
		"ignores TERM":    {"trap '' TERM; echo $$; while :; do sleep 1; done", 1, false},
		"children":        {"sleep 1000 & echo $!; sleep 1001 & echo $!; echo $$; wait", 3, false},
		"grandchildren":   {"(sleep 1000 & echo $!; sleep 1001 & echo $!); echo $$; exec sleep 1002", 3, false},
		"setsid children": {"setsid sh -c 'echo $$; sleep 1000 & echo $!; wait' & echo $$; wait", 3, false},
		"stopped":         {"echo $$; kill -STOP $$", 1, false},
		"zombie child":    {"sh -c 'echo $$; exit' & echo $$; exec sleep 1000", 2, false},
		"spare":           {"sh -c \"trap '' TERM; echo \\$\\$; while :; do sleep 1; done\" & trap 'wait; exit' TERM; echo $$; wait", 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := suiteDir(t, h)
			p, err := h.Start(suiteContext(t), Spec{Workspace: ws, Argv: []string{"/bin/sh", "-c", test.text}, Spare: test.spare})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Release()
			var ids []ProcessID
			for range test.pids {
				if pid := linePID(t, p.Stdout()); exists(fmt.Sprintf("/proc/%d/stat", pid)) {
					ids = append(ids, identify(t, pid))
				}
			}
			if id := p.ID(); id != identify(t, id.PID) {
				t.Errorf("identity %v, in the process table %v", id, identify(t, id.PID))
			}
			left, err := h.Reap(suiteContext(t), ws)
			if err != nil || len(left) != 0 {
				t.Errorf("left %q, %v", left, err)
			}
			for _, id := range ids {
				if runs(id) {
					t.Errorf("%v runs", id)
				}
			}
			exit, err := p.Wait(suiteContext(t))
			if err != nil || test.spare && exit.Signal == "KILL" {
				t.Errorf("exit %v, %v", exit, err)
			}
			if rest := members(p.ID().PID); len(rest) != 0 {
				t.Errorf("in its session: %v", rest)
			}
			if exists(ws) {
				t.Error("the directory is there")
			}
			if left, err := h.Reap(suiteContext(t), ws); err != nil || len(left) != 0 {
				t.Errorf("again: left %q, %v", left, err)
			}
		})
	}
	t.Run("stubborn spare", func(t *testing.T) {
		t.Parallel()
		ws := suiteDir(t, h)
		p, err := h.Start(suiteContext(t), Spec{Workspace: ws, Spare: true, Argv: []string{"/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Release()
		readLine(t, p.Stdout())
		left, err := h.Reap(suiteContext(t), ws)
		want := fmt.Sprintf("process %d (sh)", p.ID().PID)
		// A child that it has just made may be there, too.
		if err != nil || !slices.Contains(left, want) || !slices.Contains(left, "directory "+ws) || !runs(p.ID()) {
			t.Errorf("left %q, %v", left, err)
		}
		if alive, err := h.Alive(suiteContext(t), []ProcessID{p.ID()}); err != nil || !alive[0] {
			t.Errorf("alive %v, %v", alive, err)
		}
		self, err := os.FindProcess(p.ID().PID)
		if err != nil {
			t.Fatal(err)
		}
		self.Kill()
	})
	t.Run("wrong start time, wrong boot, nonsense", func(t *testing.T) {
		victim := suiteSh(t, h, suiteDir(t, h), "echo up; exec sleep 1000")
		readLine(t, victim.Stdout())
		id := victim.ID()
		for _, record := range []string{
			fmt.Sprintf("1 %s %d %s0 s %d - .\n", id.Boot, id.PID, id.Start, id.PID),
			fmt.Sprintf("1 %s0 %d %s s %d - .\n", id.Boot, id.PID, id.Start, id.PID),
			fmt.Sprintf("1 %s %d %s s %d -", id.Boot, id.PID, id.Start, id.PID),
			fmt.Sprintf("2 %s %d %s s %d - .\n", id.Boot, id.PID, id.Start, id.PID),
			fmt.Sprintf("1 %s -1 %s s %d - .\n", id.Boot, id.Start, id.PID),
			"", "\n", "$(touch /tmp/x)\n", strings.Repeat("x ", 100) + "\n",
		} {
			ws := suiteDir(t, h)
			if err := os.WriteFile(ws+"/.dbk-1", []byte(record), 0o600); err != nil {
				t.Fatal(err)
			}
			if left, err := h.Reap(suiteContext(t), ws); err != nil || len(left) != 0 || exists(ws) {
				t.Errorf("%q: left %q, %v", record, left, err)
			}
			if !runs(id) {
				t.Fatalf("%q: ended another's process", record)
			}
		}
		stale := id
		stale.Start += "0"
		reboot := id
		reboot.Boot = "other"
		alive, err := h.Alive(suiteContext(t), []ProcessID{id, stale, reboot, {}, {Boot: "';echo", PID: 5, Start: "1"}})
		if err != nil || fmt.Sprint(alive) != "[true false false false false]" {
			t.Errorf("alive: %v, %v", alive, err)
		}
	})
}

func suiteRelease(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	p := suiteSh(t, h, ws, "sleep 1000 & echo $!; exec sleep 1001")
	child := identify(t, linePID(t, p.Stdout()))
	p.Release()
	eventually(t, "all is gone", func() bool {
		return !runs(p.ID()) && !runs(child) && !exists(ws) && len(members(p.ID().PID)) == 0
	})
}

func suiteNormalEnd(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	p := suiteSh(t, h, ws, "[ -e /proc/$$/fd/3 ] && echo held || echo free; ps -o ppid= -A | grep -c \"^ *$$\\$\"; exit 4")
	out, err := io.ReadAll(p.Stdout())
	if err != nil {
		t.Fatal(err)
	}
	// The channel's input is not the program's; ps and grep are its only children: the lifeline is another's child.
	if f := strings.Fields(string(out)); len(f) != 2 || f[0] != "free" || f[1] != "2" {
		t.Errorf("descriptors and children: %q", f)
	}
	if exit, err := p.Wait(suiteContext(t)); err != nil || exit.Code != 4 {
		t.Errorf("%v, %v", exit, err)
	}
	eventually(t, "the lifeline is gone", func() bool { return len(members(p.ID().PID)) == 0 })
	if !exists(ws) {
		t.Error("the workspace went with the program")
	}
}

// suiteHeirs: a program ends and leaves others in its session, its leader's pid gone. They are found all the same.
func suiteHeirs(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	p := suiteSh(t, h, ws, "sleep 1000 >/dev/null 2>&1 & echo $!; exit 1")
	heir := identify(t, linePID(t, p.Stdout()))
	if exit, err := p.Wait(suiteContext(t)); err != nil || exit.Code != 1 {
		t.Errorf("%v, %v", exit, err)
	}
	eventually(t, "the lifeline is gone", func() bool { return len(members(p.ID().PID)) == 1 })
	if !runs(heir) {
		t.Error("the heir was ended with the program")
	}
	if left, err := h.Reap(suiteContext(t), ws); err != nil || len(left) != 0 || runs(heir) {
		t.Errorf("left %q, %v", left, err)
	}
}

func suiteAdopt(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	p := suiteSh(t, h, ws, "(setsid sh -c 'echo $$; sleep 1000 & echo $!; wait' &); exec sleep 1001")
	leader, child := identify(t, linePID(t, p.Stdout())), identify(t, linePID(t, p.Stdout()))
	id, err := h.Adopt(suiteContext(t), ws, leader.PID, false)
	if err != nil || id != leader {
		t.Errorf("%v, %v, not %v", id, err, leader)
	}
	for _, pid := range []int{0, 1, -1} {
		if _, err := h.Adopt(suiteContext(t), ws, pid, false); !errors.Is(err, os.ErrPermission) {
			t.Errorf("pid %d: %v", pid, err)
		}
	}
	if _, err := h.Adopt(suiteContext(t), ws, 1<<30, false); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("no process: %v", err)
	}
	if left, err := h.Reap(suiteContext(t), ws); err != nil || len(left) != 0 || runs(leader) || runs(child) || runs(p.ID()) {
		t.Errorf("left %q, %v", left, err)
	}
}

func suiteWorkspace(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	if info, err := os.Lstat(ws); err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := h.MakeWorkspace(suiteContext(t), ws); err == nil {
		t.Error("made twice")
	}
	name := NewWorkspaceName()
	for bad, want := range map[string]error{
		"/tmp/x": errWorkspace, "/": errWorkspace, "": errWorkspace, "/tmp/dbk-": errWorkspace, "tmp/" + name: errWorkspace,
		"/tmp/../tmp/" + name: errWorkspace, "/tmp/" + name + "/": errWorkspace, "/tmp/" + name + "/..": errWorkspace,
		"/t\nmp/" + name: errWorkspace, "/" + strings.Repeat("x", 80) + "/" + name: errPathTooLong,
	} {
		if err := h.MakeWorkspace(suiteContext(t), bad); !errors.Is(err, want) {
			t.Errorf("make %q: %v", bad, err)
		}
		if _, err := h.Reap(suiteContext(t), bad); !errors.Is(err, want) {
			t.Errorf("reap %q: %v", bad, err)
		}
	}
	// A hostile neighbour's link or directory of that name is not followed, entered or removed.
	precious := t.TempDir()
	if err := os.WriteFile(precious+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := path.Join("/tmp", NewWorkspaceName())
	if err := os.Symlink(precious, link); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(link)
	hostile := map[string]string{"link": link}
	if os.Getuid() == 0 {
		foreign := path.Join("/tmp", NewWorkspaceName())
		if err := os.Mkdir(foreign, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(foreign)
		victim := suiteSh(t, h, ws, "echo up; exec sleep 1000")
		readLine(t, victim.Stdout())
		id := victim.ID()
		record := fmt.Sprintf("1 %s %d %s s %d - .\n", id.Boot, id.PID, id.Start, id.PID)
		if err := os.WriteFile(foreign+"/.dbk-1", []byte(record), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(foreign, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		hostile["foreign directory"] = foreign
		defer func() {
			if !runs(id) {
				t.Error("a foreign record was believed")
			}
		}()
	}
	for what, p := range hostile {
		if err := h.MakeWorkspace(suiteContext(t), p); err == nil {
			t.Errorf("%s: made", what)
		}
		if _, err := h.Start(suiteContext(t), Spec{Workspace: p, Argv: []string{"/bin/true"}}); err == nil {
			t.Errorf("%s: started", what)
		}
		if _, err := h.Adopt(suiteContext(t), p, os.Getpid(), false); !errors.Is(err, errNotOurs) {
			t.Errorf("%s: adopt: %v", what, err)
		}
		left, err := h.Reap(suiteContext(t), p)
		if err != nil || len(left) != 1 || !strings.Contains(left[0], "not ours") || !exists(p) {
			t.Errorf("%s: left %q, %v", what, left, err)
		}
	}
	if !exists(precious + "/file") {
		t.Error("the link was followed")
	}
}

func suiteFiles(t *testing.T, h Host) {
	dir := t.TempDir()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "bytes": all, "with 'quotes' $(x)\n": []byte("x"), "big": bytes.Repeat(all, 3<<12), "-dash": []byte("\n"),
	} {
		p := path.Join(dir, name)
		for _, perm := range []uint32{0o600, 0o755} { // the second replaces
			if err := h.WriteFile(suiteContext(t), p, data, perm); err != nil {
				t.Errorf("%q: %v", name, err)
				continue
			}
			info, err := os.Stat(p)
			if err != nil || info.Mode() != os.FileMode(perm) {
				t.Errorf("%q: %v, %v", name, info.Mode(), err)
			}
			if got, err := os.ReadFile(p); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%q: written %d bytes of %d, %v", name, len(got), len(data), err)
			}
		}
		if got, err := h.ReadFile(suiteContext(t), p, int64(len(data))); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%q: read %d bytes of %d, %v", name, len(got), len(data), err)
		}
		if len(data) > 0 {
			if _, err := h.ReadFile(suiteContext(t), p, int64(len(data))-1); !errors.Is(err, errFileTooBig) {
				t.Errorf("%q: beyond the limit: %v", name, err)
			}
		}
	}
	if err := os.Symlink("/tmp", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ReadFile(suiteContext(t), dir+"/none", 10); !errors.Is(err, ErrNoSuchFile) {
		t.Errorf("read none: %v", err)
	}
	if err := h.WriteFile(suiteContext(t), dir+"/none/x", nil, 0o600); !errors.Is(err, ErrNoSuchFile) {
		t.Errorf("write into none: %v", err)
	}
	for _, bad := range []string{"x", "", "/dev/zero", "/tmp", "/dev/stdin"} {
		if _, err := h.ReadFile(suiteContext(t), bad, 10); err == nil {
			t.Errorf("read %q", bad)
		}
	}
	for _, bad := range []string{"x", "", "/", dir, "/a/../b", dir + "/bytes/"} {
		if err := h.WriteFile(suiteContext(t), bad, nil, 0o600); err == nil {
			t.Errorf("wrote %q", bad)
		}
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 6 {
		t.Errorf("left over: %v", entries)
	}
	if got, err := h.ReadFile(suiteContext(t), "/proc/self/stat", 1<<10); err != nil || len(got) == 0 {
		t.Errorf("a file of /proc: %q, %v", got, err)
	}
}

func suiteListeners(t *testing.T, h Host) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "127.0.0.77:0", "[::]:0"} {
		network := "tcp"
		if addr == "0.0.0.0:0" {
			network = "tcp4"
		}
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Logf("%s: %v", addr, err) // no IPv6 here
			continue
		}
		defer l.Close()
		want := l.Addr().(*net.TCPAddr)
		list, err := h.Listeners(suiteContext(t))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, got := range list {
			if got.Port == want.Port && net.ParseIP(got.Addr).Equal(want.IP) {
				found = true
				if got.PID != os.Getpid() || got.UID != os.Getuid() {
					t.Errorf("%s: %+v", want, got)
				}
			}
		}
		if !found {
			t.Errorf("%s is not in %v", want, list)
		}
		if addr == "127.0.0.1:0" {
			began := time.Now()
			conn, err := h.Dial(suiteContext(t), "tcp", l.Addr().String())
			if err != nil {
				t.Fatalf("dial: %v after %s", err, time.Since(began))
			}
			conn.Close()
		}
	}
	if _, err := h.Dial(suiteContext(t), "udp", "127.0.0.1:9"); err == nil {
		t.Error("dialled udp")
	}
}
