package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"strings"
	"syscall"
	"testing"
	"time"
)

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

// suiteListenersDeceived holds files open whose path, listed line by line, says that the listener is another process's.
func suiteListenersDeceived(t *testing.T, h Host) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var stat syscall.Stat_t
	if cerr := raw.Control(func(fd uintptr) { err = syscall.Fstat(int(fd), &stat) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	dir := t.TempDir() + "/a\n/proc/777"
	name := fmt.Sprintf("%s/fd:\nl socket:[%d]", dir, stat.Ino)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 120 { // one of them is listed before the socket
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	list, err := h.Listeners(suiteContext(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range list {
		if got.Port == l.Addr().(*net.TCPAddr).Port && got.PID != os.Getpid() {
			t.Errorf("%+v, and the socket is ours, %d", got, os.Getpid())
		}
	}
}
