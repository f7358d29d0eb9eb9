package tunnel

import (
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/debugbroker/debugbroker/integration/cutter"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/unignore"
)

func TestMain(m *testing.M) {
	unignore.Signals()
	goleak.VerifyTestMain(m)
}

// testSSHD is a real OpenSSH server on a loopback port.
type testSSHD struct {
	*sshd.Server
	hostKey ssh.PublicKey
}

// startSSHD runs sshd with further lines of configuration. authorized are the keys that it lets in.
func startSSHD(t testing.TB, authorized []ssh.PublicKey, lines ...string) *testSSHD {
	t.Helper()
	var keys strings.Builder
	for _, key := range authorized {
		keys.Write(ssh.MarshalAuthorizedKey(key))
	}
	file := filepath.Join(t.TempDir(), "authorized")
	writeFile(t, file, keys.String())
	return runSSHD(t, sshd.Options{Lines: append(lines, "AuthorizedKeysFile "+file)})
}

func runSSHD(t testing.TB, options sshd.Options) *testSSHD {
	t.Helper()
	s := &testSSHD{Server: sshd.New(t, options)}
	_, _, key, _, _, err := ssh.ParseKnownHosts([]byte(s.knownLine(t)))
	if err != nil {
		t.Fatal(err)
	}
	s.hostKey = key
	return s
}

// knownLine is what known_hosts says of the server.
func (s *testSSHD) knownLine(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile(s.KnownHosts())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// hop describes the server, known and with one identity.
func (s *testSSHD) hop(t testing.TB, identities ...string) Hop {
	t.Helper()
	known := filepath.Join(t.TempDir(), "known_hosts")
	writeFile(t, known, s.knownLine(t))
	return Hop{
		Alias: "box", HostName: "127.0.0.1", Port: s.Port(), User: me(t), IdentityFiles: identities, IdentityAgent: "none",
		UserKnownHostsFiles: []string{known},
	}
}

// behindCutter leads a hop through a proxy that counts its connections, cuts them and swallows them.
func behindCutter(t testing.TB, server *testSSHD, hop Hop) (*cutter.Proxy, Hop) {
	t.Helper()
	p := cutter.New(t, server.Addr())
	server.Trust(p.Port())
	hop.Port, hop.UserKnownHostsFiles = p.Port(), []string{server.KnownHosts()}
	return p, hop
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
