package tunnel

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/debugbroker/debugbroker/integration/sshserver"
)

// person answers prompts in turn, and remembers them.
type person struct {
	answers []string

	mu      sync.Mutex
	prompts []Prompt
}

// ask is the person's Ask. Who has no answer left, or is told something only, waits.
func (p *person) ask(ctx context.Context, q Prompt) (string, error) {
	p.mu.Lock()
	p.prompts = append(p.prompts, q)
	if q.Kind != PromptTouch && len(p.answers) > 0 {
		answer := p.answers[0]
		p.answers = p.answers[1:]
		p.mu.Unlock()
		return answer, nil
	}
	p.mu.Unlock()
	<-ctx.Done()
	return "", ctx.Err()
}

// asked are the prompts so far.
func (p *person) asked() []Prompt {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Prompt{}, p.prompts...)
}

// serveSSH runs a server in process until the test ends, and returns the hop to it.
func serveSSH(t *testing.T, config sshserver.Config, identities ...string) Hop {
	t.Helper()
	s, err := sshserver.Listen(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	known := filepath.Join(t.TempDir(), "known_hosts")
	writeFile(t, known, knownhosts.Line([]string{knownhosts.Normalize(s.Addr().String())}, s.HostKey())+"\n")
	return Hop{
		Alias: "box", HostName: "127.0.0.1", Port: s.Addr().Port, User: "me", IdentityFiles: identities, IdentityAgent: "none",
		UserKnownHostsFiles: []string{known},
	}
}

// dialHow dials a hop and tells by what we were let in.
func dialHow(t *testing.T, hop Hop, caller Caller) (string, error) {
	t.Helper()
	conn, err := (&Dialer{}).Dial(t.Context(), NewTarget([]Hop{hop}), caller, nil)
	if err != nil {
		return "", err
	}
	if err := conn.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	return conn.how, nil
}

// needsAuth checks an error that only a person can mend.
func needsAuth(t *testing.T, err error, says string) {
	t.Helper()
	if !errors.Is(err, ErrAuth) || !errors.Is(err, ErrNeedsAuth) {
		t.Fatalf("Dial = %v, want ErrAuth and ErrNeedsAuth", err)
	}
	checkWords(t, err, says, "brokerctl auth box")
}

// signCert makes a certificate file for a key.
func signCert(t *testing.T, path string, ca ssh.Signer, key ssh.PublicKey, change func(*ssh.Certificate)) {
	t.Helper()
	cert := &ssh.Certificate{
		Key: key, CertType: ssh.UserCert, KeyId: "test", ValidPrincipals: []string{me(t)}, ValidBefore: ssh.CertTimeInfinity,
		Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": "", "permit-port-forwarding": ""}},
	}
	if change != nil {
		change(cert)
	}
	if err := cert.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, string(ssh.MarshalAuthorizedKey(cert)))
}
