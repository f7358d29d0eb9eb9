package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/answering"
)

// startMaster runs an ssh that is a ControlMaster of a hop, and sets the hop up to be reached over it and in no other way.
func startMaster(t *testing.T, hop Hop) (over Hop, master *os.Process) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cm")
	master = startMasterAt(t, hop, path)
	hop.ControlPath, hop.IdentityFiles, hop.UserKnownHostsFiles = path, nil, nil
	return hop, master
}

func startMasterAt(t *testing.T, hop Hop, path string, options ...string) *os.Process {
	t.Helper()
	cmd := exec.Command("ssh", "-F", "none", "-M", "-S", path, "-N", "-o", "BatchMode=yes", "-o", "ControlPersist=no", "-o", "IdentityAgent=none", "-o", "ServerAliveInterval=0",
		"-o", "UserKnownHostsFile="+hop.UserKnownHostsFiles[0], "-i", hop.IdentityFiles[0], "-p", fmt.Sprint(hop.Port), "-l", hop.User, hop.HostName)
	cmd.Args = slices.Insert(cmd.Args, 1, options...)
	cmd.Env = append(os.Environ(), "SSH_ASKPASS=/bin/false", "SSH_ASKPASS_REQUIRE=force") // where it asks its user, they say no
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	deadline := time.Now().Add(20 * time.Second)
	for controlSocket(path) != nil {
		if isClosed(ended) || time.Now().After(deadline) {
			t.Fatalf("the ControlMaster does not listen: %s", stderr.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
	return cmd.Process
}

func TestControlMaster(t *testing.T) {
	_, box := testBox(t)
	hop, master := startMaster(t, box)
	pool := runPool(t, PoolOptions{})
	target := NewTarget([]Hop{{HostName: "jump.invalid"}, hop}) // the way is the master's affair
	host, err := pool.Host(t.Context(), "box", target, Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Release()
	if w := strings.Join(host.Warnings(), "\n"); !strings.Contains(w, "ControlMaster at "+hop.ControlPath) {
		t.Errorf("warnings %q", w)
	}
	if facts, err := host.Facts(t.Context()); err != nil || facts.User != hop.User {
		t.Errorf("facts %+v, %v", facts, err)
	}
	if r, err := host.Run(t.Context(), "head -c 1000000 /dev/zero | wc -c"); err != nil || strings.TrimSpace(string(r.Stdout)) != "1000000" {
		t.Errorf("a command: %+v, %v", r, err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": socket} {
		address := answering.Serve(t, network, address, answering.Echo).Addr().String()
		c, err := host.Dial(t.Context(), network, address)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("hello ", 100000)
		go func() { _, _ = io.WriteString(c, text) }()
		got := make([]byte, len(text))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
			t.Errorf("%s: %v", network, err)
		}
		_ = c.Close()
	}
	if _, err := host.Dial(t.Context(), "tcp", "127.0.0.1:1"); !errors.Is(err, ErrFarDial) {
		t.Errorf("dial to nobody: %v", err)
	}

	// A connection that leaves takes nothing along, whatever it was refused.
	leaving, err := (&Dialer{}).Dial(t.Context(), target, Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaving.Dial(t.Context(), "tcp", "127.0.0.1:1"); !errors.Is(err, ErrFarDial) {
		t.Errorf("dial to nobody: %v", err)
	}
	if _, err := leaving.Dial(t.Context(), "unix", "/nonexistent/socket"); !errors.Is(err, ErrFarDial) {
		t.Errorf("dial to no socket: %v", err)
	}
	running, err := (connCarrier{leaving}).exec(t.Context(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	_ = leaving.Close()
	if _, err := running.Wait(); !errors.Is(err, ErrLinkLost) {
		t.Errorf("a command of its: %v", err)
	}
	if out, err := exec.CommandContext(t.Context(), "ssh", "-F", "none", "-S", hop.ControlPath, "-O", "check", "x").CombinedOutput(); err != nil {
		t.Fatalf("the master has gone: %v, %s", err, out)
	}
	if r, err := host.Run(t.Context(), "exit 3"); err != nil || r.Code != 3 {
		t.Errorf("a command: %+v, %v", r, err)
	}

	if err := master.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-host.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the end of the master is not noticed")
	}
	if err := host.Err(); !errors.Is(err, ErrLinkLost) {
		t.Errorf("Err = %v", err)
	}
	// The socket is still there. Now the way is ours to go.
	if _, err := os.Lstat(hop.ControlPath); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Host(t.Context(), "box", target, Caller{}, nil); !errors.Is(err, ErrHostUnresolvable) {
		t.Errorf("Host = %v", err)
	}
	direct := box
	direct.ControlPath = hop.ControlPath
	if err := dialOnce(t.Context(), []Hop{direct}, Caller{}); err != nil {
		t.Errorf("directly: %v", err)
	}
}

// TestControlMasterLimits: what cannot be done over a master is said, and a ping takes nobody's session.
func TestControlMasterLimits(t *testing.T) {
	_, box := testBox(t, "MaxSessions 2")
	hop, _ := startMaster(t, box)
	conn, err := (&Dialer{}).Dial(t.Context(), NewTarget([]Hop{hop}), Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	link := newTestLink(t, conn)
	first, err := link.exec(t.Context(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // the second session comes and goes among the pings
		if _, err := conn.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		out, exit := runCommand(t, connCarrier{conn}, "echo hello")
		if out != "hello\n" || exit != (Exit{}) {
			t.Fatalf("%q, %+v", out, exit)
		}
	}
	second, err := (connCarrier{conn}).exec(t.Context(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Ping(t.Context()); err != nil {
		t.Errorf("Ping where no session is left: %v", err)
	}
	third := make(chan error, 1)
	go func() {
		cmd, err := link.exec(t.Context(), "cat")
		if err == nil {
			_ = cmd.Close()
		}
		third <- err
	}()
	_ = second.Close()
	if err := <-third; err != nil {
		t.Errorf("a command that waits for room: %v", err)
	}
	if n := link.Conns(); n != 1 {
		t.Errorf("%d connections", n)
	}
	link.markFull(link.members[0])
	if err := link.grow(t.Context()); err == nil || !strings.Contains(err.Error(), "ControlMaster at "+hop.ControlPath) {
		t.Errorf("grow = %v", err)
	}
	_ = first.Close()
}

// TestDiagnoseControlMaster: doctor says which way it went.
func TestDiagnoseControlMaster(t *testing.T) {
	_, box := testBox(t)
	hop, _ := startMaster(t, box)
	lines, err := diagnosed(t.Context(), t, []Hop{hop}, nil)
	if err != nil || contains(lines, "\nFAIL") || !contains(lines, "\nok control master: an ssh of yours") || !contains(lines, "\nok socket forwarding: allowed") || contains(lines, "host key") {
		t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	direct := box
	direct.ControlPath = filepath.Join(t.TempDir(), "file")
	writeFile(t, direct.ControlPath, "")
	lines, err = diagnosed(t.Context(), t, []Hop{direct}, nil)
	if err != nil || !contains(lines, "is not used: it is no socket") || !contains(lines, "\nok host key: ") {
		t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
	}
}

// TestControlMasterNotUsed: what is not a ControlMaster of ours alone is left where it is, and the host is reached without.
func TestControlMasterNotUsed(t *testing.T) {
	_, box := testBox(t)
	listener := func(handle func(net.Conn)) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			answering.Serve(t, "unix", path, func(c net.Conn) {
				handle(c)
				_, _ = io.Copy(io.Discard, c) // until we hang up
			})
		}
	}
	silent := func(net.Conn) {}
	hello := func(c net.Conn) { _, _ = io.WriteString(c, "\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x04") }
	tests := []struct {
		name string
		root bool
		make func(t *testing.T, path string)
	}{
		{"nothing", false, func(*testing.T, string) {}},
		{"a file", false, func(t *testing.T, path string) { writeFile(t, path, "x") }},
		{"a link to a socket", false, func(t *testing.T, path string) {
			listener(silent)(t, path+"2")
			if err := os.Symlink(path+"2", path); err != nil {
				t.Fatal(err)
			}
		}},
		{"a socket that nobody serves", false, func(t *testing.T, path string) {
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			l.(*net.UnixListener).SetUnlinkOnClose(false)
			_ = l.Close()
		}},
		{"another user's socket", true, func(t *testing.T, path string) {
			listener(hello)(t, path)
			if err := os.Chown(path, 65534, 65534); err != nil {
				t.Fatal(err)
			}
		}},
		{"another user's directory", true, func(t *testing.T, path string) {
			listener(hello)(t, path)
			if err := os.Chown(filepath.Dir(path), 65534, 65534); err != nil {
				t.Fatal(err)
			}
		}},
		{"a directory for all", false, func(t *testing.T, path string) {
			listener(hello)(t, path)
			if err := os.Chmod(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
		}},
		{"it talks HTTP", false, listener(func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })},
		{"it hangs up", false, listener(func(c net.Conn) { _ = c.Close() })},
		{"it says something huge", false, listener(func(c net.Conn) { _, _ = io.WriteString(c, "\xff\xff\xff\xff"+strings.Repeat("x", 1<<20)) })},
		{"it is of another version", false, listener(func(c net.Conn) { _, _ = io.WriteString(c, "\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x05") })},
		{"it refuses", false, listener(func(c net.Conn) {
			hello(c)
			_, _ = io.WriteString(c, "\x00\x00\x00\x0e\x80\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x02no")
		})},
		{"it is silent", false, listener(silent)},
		{"it stops after hello", false, listener(hello)},
		{"the server behind it is silent", false, listener(func(c net.Conn) {
			hello(c)
			_, _ = io.WriteString(c, "\x00\x00\x00\x08\x80\x00\x00\x0f\x00\x00\x00\x00")
		})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.root && os.Geteuid() != 0 {
				t.Skip("only root gives files away")
			}
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "d")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			hop := box
			hop.ControlPath = filepath.Join(dir, "cm")
			test.make(t, hop.ControlPath)
			conn, err := (&Dialer{}).Dial(t.Context(), NewTarget([]Hop{hop}), Caller{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if conn.master != "" {
				t.Error("it is used")
			}
			_ = conn.Close()
		})
	}
	t.Run("an ssh whose user says no", func(t *testing.T) {
		direct := box
		direct.ControlPath = filepath.Join(t.TempDir(), "cm")
		startMasterAt(t, box, direct.ControlPath, "-M") // the second makes it ask (ssh.c)
		conn, err := (&Dialer{}).Dial(t.Context(), NewTarget([]Hop{direct}), Caller{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if conn.master != "" {
			t.Error("it is used")
		}
	})
	t.Run("a stopped ssh", func(t *testing.T) {
		hop, master := startMaster(t, box)
		if err := master.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		direct := box
		direct.ControlPath = hop.ControlPath
		if err := dialOnce(t.Context(), []Hop{direct}, Caller{}); err != nil {
			t.Fatal(err)
		}
	})
}
