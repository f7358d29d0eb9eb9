package tunnel

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// dialOnce dials a hop and closes the connection again.
func dialOnce(ctx context.Context, hops []Hop, caller Caller) error {
	conn, err := (&Dialer{}).Dial(ctx, NewTarget(hops), caller, nil)
	if err != nil {
		return err
	}
	return conn.Close()
}

// startAgent serves an ssh-agent with n further keys beside those given, the given last.
func startAgent(t *testing.T, strangers int, files ...string) string {
	t.Helper()
	ring := agent.NewKeyring()
	for range strangers {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		private, err := ssh.ParseRawPrivateKey(data)
		if errors.As(err, new(*ssh.PassphraseMissingError)) {
			private, err = ssh.ParseRawPrivateKeyWithPassphrase(data, []byte("secret"))
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
			t.Fatal(err)
		}
	}
	return serveAgent(t, ring)
}

// serveAgent serves an agent on a socket until the test ends.
func serveAgent(t *testing.T, ring agent.Agent) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // short: a socket's path has a limit
	if err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(dir, "s")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = agent.ServeAgent(ring, c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-served; _ = os.RemoveAll(dir) })
	return sock
}

func TestAuth(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	var authorized []ssh.PublicKey
	for _, kind := range []string{"ed25519", "rsa", "ecdsa"} {
		authorized = append(authorized, newKey(t, kind, path(kind), "").PublicKey())
	}
	authorized = append(authorized, newKey(t, "ed25519", path("locked"), "secret").PublicKey())
	newKey(t, "ed25519", path("stranger"), "")
	newKey(t, "ed25519", path("lockedstranger"), "secret")
	copyFile := func(from, to string, perm os.FileMode) {
		data, err := os.ReadFile(path(from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path(to), data, perm); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path(to), perm); err != nil {
			t.Fatal(err)
		}
	}
	copyFile("ed25519", "open", 0o644)
	writeFile(t, path("garbage"), "-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense secretbytes\n-----END OPENSSH PRIVATE KEY-----\n")
	writeFile(t, path("socket-not"), "")
	server := startSSHD(t, authorized)

	tests := []struct {
		name  string
		files []string
		only  bool
		agent func(t *testing.T) string // nil: none
		want  error
		hint  string // part of it
		says  string // part of the error
	}{
		{name: "ed25519", files: []string{"ed25519"}},
		{name: "rsa", files: []string{"rsa"}},
		{name: "ecdsa", files: []string{"ecdsa"}},
		{name: "several, the last one fits", files: []string{"missing", "stranger", "ed25519"}},
		{name: "locked ones do not keep the open one from its turn", files: []string{"locked", "ed25519"}},
		{name: "agent", agent: func(t *testing.T) string { return startAgent(t, 2, path("rsa")) }},
		{name: "locked key in the agent", files: []string{"locked"}, agent: func(t *testing.T) string { return startAgent(t, 0, path("locked")) }},
		{name: "IdentitiesOnly with ten keys", files: []string{"ed25519"}, only: true,
			agent: func(t *testing.T) string { return startAgent(t, 10, path("ed25519")) }},
		{name: "the named key of ten comes first", files: []string{"ed25519"},
			agent: func(t *testing.T) string { return startAgent(t, 10, path("ed25519")) }},
		{name: "a public key as IdentityFile picks the agent's", files: []string{"ed25519.pub"}, only: true,
			agent: func(t *testing.T) string { return startAgent(t, 10, path("ed25519")) }},
		{name: "a dead agent does not stop a good file", files: []string{"ed25519"}, agent: func(*testing.T) string { return path("nosuch.sock") }},

		{name: "ten keys", agent: func(t *testing.T) string { return startAgent(t, 10, path("ed25519")) },
			want: ErrAuth, hint: "IdentitiesOnly", says: "hung up before"},
		{name: "IdentitiesOnly leaves out the agent's others", only: true, agent: func(t *testing.T) string { return startAgent(t, 0, path("ed25519")) },
			want: ErrAuth, hint: "ssh-keygen", says: "no key to offer"},
		{name: "no key", want: ErrAuth, hint: "ssh-keygen", says: "publickey"},
		{name: "a stranger", files: []string{"stranger"}, want: ErrAuth, hint: "authorized_keys", says: path("stranger")},
		{name: "a locked key", files: []string{"locked"}, want: ErrNeedsAuth, hint: "ssh-add " + path("locked")},
		{name: "a locked stranger", files: []string{"lockedstranger"}, want: ErrAuth, hint: "authorized_keys", says: path("lockedstranger")},
		{name: "a key that others may read", files: []string{"open"}, want: ErrAuth, says: "chmod 600"},
		{name: "a broken key", files: []string{"garbage"}, want: ErrAuth, says: "no private key that can be read"},
		{name: "an agent that is no socket", agent: func(*testing.T) string { return path("socket-not") }, want: ErrAuth, says: "no socket"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hop := server.hop(t)
			hop.IdentitiesOnly = test.only
			for _, file := range test.files {
				hop.IdentityFiles = append(hop.IdentityFiles, path(file))
			}
			var caller Caller
			if test.agent != nil {
				hop.IdentityAgent = ""
				caller.AuthSock = test.agent(t)
			}
			err := dialOnce(t.Context(), []Hop{hop}, caller)
			if !errors.Is(err, test.want) {
				t.Fatalf("Dial = %v, want %v\n%s", err, test.want, server.Log())
			}
			if err == nil {
				return
			}
			checkWords(t, err, test.says, test.hint)
			if strings.Contains(err.Error(), "secretbytes") {
				t.Errorf("the error quotes the key file: %v", err)
			}
		})
	}
}

// checkWords checks that an error says something and has a hint that says something.
func checkWords(t *testing.T, err error, says, hint string) {
	t.Helper()
	var h *HintedError
	if !errors.As(err, &h) {
		t.Errorf("no hint: %v", err)
		return
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("error %q does not say %q", err, says)
	}
	if !strings.Contains(h.Hint, hint) {
		t.Errorf("hint %q does not say %q", h.Hint, hint)
	}
}

func TestAuthMethodsOfServer(t *testing.T) {
	dir := t.TempDir()
	key := newKey(t, "ed25519", filepath.Join(dir, "id"), "")
	server := startSSHD(t, []ssh.PublicKey{key.PublicKey()}, "PubkeyAuthentication no", "PasswordAuthentication yes")
	err := dialOnce(t.Context(), []Hop{server.hop(t, filepath.Join(dir, "id"))}, Caller{})
	if !errors.Is(err, ErrAuth) {
		t.Fatalf("Dial = %v, want ErrAuth", err)
	}
	needsAuth(t, err, "password")
}

func TestAgentOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give a socket away")
	}
	dir := t.TempDir()
	key := filepath.Join(dir, "id")
	server := startSSHD(t, []ssh.PublicKey{newKey(t, "ed25519", key, "").PublicKey()})
	sock := startAgent(t, 0, key)
	if err := os.Chown(sock, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	hop := server.hop(t)
	hop.IdentityAgent = sock
	err := dialOnce(t.Context(), []Hop{hop}, Caller{})
	if !errors.Is(err, ErrAuth) {
		t.Fatalf("Dial = %v, want ErrAuth", err)
	}
	checkWords(t, err, fmt.Sprintf("%s is not used: the socket belongs to another user", sock), "")
}
