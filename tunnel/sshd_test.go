package tunnel

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// needTool finds a program that a test cannot do without.
func needTool(t testing.TB, name, install string, also ...string) string {
	t.Helper()
	for _, candidate := range append([]string{name}, also...) {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed: %s", name, install)
	}
	t.Skipf("%s is not installed: %s", name, install)
	return ""
}

// testSSHD is a real OpenSSH server on a loopback port.
type testSSHD struct {
	port    int
	hostKey ssh.PublicKey
	dir     string
	cmd     *exec.Cmd
	log     *lockedBuffer
}

// startSSHD runs sshd with further lines of configuration. authorized are the keys that it lets in.
func startSSHD(t testing.TB, authorized []ssh.PublicKey, lines ...string) *testSSHD {
	t.Helper()
	bin := needTool(t, "sshd", "apt install openssh-server", "/usr/sbin/sshd")
	if os.Geteuid() == 0 {
		// The directory of privilege separation is compiled in, and sshd as root insists on it.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := &testSSHD{dir: t.TempDir(), log: &lockedBuffer{}}
	hostSigner := newKey(t, "ed25519", filepath.Join(s.dir, "host"), "")
	s.hostKey = hostSigner.PublicKey()
	var keys strings.Builder
	for _, key := range authorized {
		keys.Write(ssh.MarshalAuthorizedKey(key))
	}
	writeFile(t, filepath.Join(s.dir, "authorized"), keys.String())
	s.port = freePort(t)
	config := append(lines, // sshd takes the first value of an option
		fmt.Sprintf("ListenAddress 127.0.0.1:%d", s.port),
		"HostKey "+filepath.Join(s.dir, "host"),
		"AuthorizedKeysFile "+filepath.Join(s.dir, "authorized"),
		"StrictModes no", "UsePAM no", "PidFile none", "LogLevel VERBOSE", "PermitRootLogin yes",
		// bash reads .bashrc for sshd's commands only at the outermost level: what people have there is slow, takes locks, and
		// is none of a test's business.
		"SetEnv SHLVL=9",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no",
	)
	writeFile(t, filepath.Join(s.dir, "config"), strings.Join(config, "\n")+"\n")
	s.start(t, bin)
	t.Cleanup(s.stop)
	return s
}

func (s *testSSHD) start(t testing.TB, bin string) {
	t.Helper()
	s.cmd = exec.Command(bin, "-D", "-e", "-f", filepath.Join(s.dir, "config"))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening, drained := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(drained)
		var once sync.Once
		scanner := bufio.NewScanner(stderr)
		for scanner.Scan() {
			fmt.Fprintln(s.log, scanner.Text())
			if strings.HasPrefix(scanner.Text(), "Server listening") {
				once.Do(func() { close(listening) })
			}
		}
	}()
	t.Cleanup(func() { s.stop(); <-drained })
	select {
	case <-listening:
	case <-drained:
		t.Fatalf("sshd ended:\n%s", s.log)
	case <-time.After(10 * time.Second):
		t.Fatalf("sshd does not listen:\n%s", s.log)
	}
}

// stop ends sshd and the children that serve connections. Each child makes a session of its own, so they are looked up.
func (s *testSSHD) stop() {
	if s.cmd.ProcessState != nil {
		return
	}
	for _, pid := range children(s.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// killConnections ends all connections that the server has, as a crash would.
func (s *testSSHD) killConnections() {
	for _, pid := range children(s.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// children lists the sshd processes below pid. What they run is left alone: it ends by itself when its input does.
func children(pid int) []int {
	out, _ := exec.Command("ps", "-o", "pid=,comm=", "--ppid", fmt.Sprint(pid)).Output()
	var all []int
	for line := range strings.Lines(string(out)) {
		var child int
		var name string
		if _, err := fmt.Sscan(line, &child, &name); err == nil && strings.HasPrefix(name, "sshd") {
			all = append(append(all, child), children(child)...)
		}
	}
	return all
}

func (s *testSSHD) addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// knownLine is what known_hosts says of the server.
func (s *testSSHD) knownLine() string {
	return fmt.Sprintf("[127.0.0.1]:%d %s", s.port, ssh.MarshalAuthorizedKey(s.hostKey))
}

// hop describes the server, known and with one identity.
func (s *testSSHD) hop(t testing.TB, identities ...string) Hop {
	t.Helper()
	known := filepath.Join(t.TempDir(), "known_hosts")
	writeFile(t, known, s.knownLine())
	return Hop{
		Alias: "box", HostName: "127.0.0.1", Port: s.port, User: me(t), IdentityFiles: identities, IdentityAgent: "none",
		UserKnownHostsFiles: []string{known},
	}
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func me(t testing.TB) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// lockedBuffer is a buffer for several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// runCommand runs a command line on a connection and returns what it printed.
func runCommand(t testing.TB, c carrier, line string) (string, Exit) {
	t.Helper()
	ch, err := c.exec(t.Context(), line)
	if err != nil {
		t.Fatalf("exec %q: %v", line, err)
	}
	defer ch.Close()
	out, err := io.ReadAll(ch.Stdout())
	if err != nil {
		t.Fatalf("read output of %q: %v", line, err)
	}
	exit, err := ch.Wait()
	if err != nil {
		t.Fatalf("wait for %q: %v", line, err)
	}
	return string(out), exit
}
