package peer

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/executable"
)

// The test binary is its own other user: started again as nobody with this variable, it connects to the address in it.
const dialVar = "PEER_TEST_DIAL"

func TestMain(m *testing.M) {
	if addr := os.Getenv(dialVar); addr != "" {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			os.Exit(3)
		}
		_, _ = c.Write([]byte("x"))
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test has looked
		_ = c.Close()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func listen(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Skipf("listen on %s: %v", addr, err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func accept(t *testing.T, ln net.Listener) net.Conn {
	t.Helper()
	_ = ln.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Second))
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Each way of looking up must give the same answer for IPv4, IPv6, and an IPv6 socket that talks IPv4 at either end.
func TestSameUserIsUs(t *testing.T) {
	tests := []struct{ name, network, bind, dialNet, dial string }{
		{"IPv4", "tcp4", "127.0.0.1:0", "tcp4", "127.0.0.1"},
		{"IPv6", "tcp6", "[::1]:0", "tcp6", "::1"},
		{"mapped server", "tcp", "[::]:0", "tcp4", "127.0.0.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ln := listen(t, tt.network, tt.bind)
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			c, err := net.Dial(tt.dialNet, net.JoinHostPort(tt.dial, port))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			checkUs(t, accept(t, ln))
		})
	}
	t.Run("mapped client", func(t *testing.T) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Skip("no IPv6 here:", err)
		}
		defer syscall.Close(fd)
		sa := &syscall.SockaddrInet6{Port: ln.Addr().(*net.TCPAddr).Port, Addr: netip.MustParseAddr("::ffff:127.0.0.1").As16()}
		if err := syscall.Connect(fd, sa); err != nil {
			t.Fatal(err)
		}
		checkUs(t, accept(t, ln))
	})
}

func checkUs(t *testing.T, c net.Conn) {
	t.Helper()
	if err := SameUser(c); err != nil {
		t.Errorf("SameUser: %v", err)
	}
	local, remote, err := ends(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, ask := range lookups {
		if uid, err := ask(remote, local); err != nil || int(uid) != os.Geteuid() {
			t.Errorf("%s: got %d, %v, want %d", name, uid, err, os.Geteuid())
		}
	}
}

var lookups = map[string]func(local, remote netip.AddrPort) (uint32, error){
	"sock_diag": diagOwner,
	"/proc":     func(l, r netip.AddrPort) (uint32, error) { return procOwner("/proc/net", l, r) },
}

func TestSameUserRefusesAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	for _, network := range []string{"tcp4", "tcp6"} {
		t.Run(network, func(t *testing.T) {
			bind := map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"}[network]
			ln := listen(t, network, bind)
			startOther(t, ln.Addr().String())
			c := accept(t, ln)
			if err := SameUser(c); !errors.Is(err, ErrOtherUser) {
				t.Errorf("got %v, want ErrOtherUser", err)
			}
			local, remote, _ := ends(c)
			for name, ask := range lookups {
				if uid, err := ask(remote, local); err != nil || uid != 65534 {
					t.Errorf("%s: got %d, %v, want 65534", name, uid, err)
				}
			}
		})
	}
}

// A user who connects, sends and closes leaves a socket that the kernel shows as root's.
func TestSameUserRefusesAClosedSocket(t *testing.T) {
	ln := listen(t, "tcp4", "127.0.0.1:0")
	d, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write([]byte("Content-Length: 2\r\n\r\n{}")); err != nil {
		t.Fatal(err)
	}
	c := accept(t, ln)
	d.Close() // FIN_WAIT2 now, since we keep our end open
	buf := make([]byte, 64)
	for { // the FIN has been handled once we read the end
		if _, err := c.Read(buf); err == io.EOF {
			break
		}
	}
	if err := SameUser(c); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
	local, remote, _ := ends(c)
	for name, ask := range lookups {
		if uid, err := ask(remote, local); err == nil {
			t.Errorf("%s: a closed socket is owned by %d", name, uid)
		}
	}
}

// startOther runs this binary as nobody, connected to addr, until the test ends.
func startOther(t *testing.T, addr string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "peer") // t.TempDir is below a directory that only we may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "other")
	executable.Write(t, exe, data)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Dir = "/"
	cmd.Env = []string{dialVar + "=" + addr}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("other user: %v", err)
		}
	})
}
