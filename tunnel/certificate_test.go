package tunnel

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// TestCertificates: a server that trusts an authority, and no key by itself.
func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	ca := newKey(t, "ed25519", path("ca"), "")
	keys := map[string]ssh.Signer{}
	for _, kind := range []string{"ed25519", "rsa", "ecdsa"} {
		keys[kind] = newKey(t, kind, path(kind), "")
		signCert(t, path(kind+"-cert.pub"), ca, keys[kind].PublicKey(), nil)
	}
	locked := newPEMKey(t, "ecdsa", path("locked"))
	signCert(t, path("locked-cert.pub"), ca, locked.PublicKey(), nil)
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	alone := func(name string, change func(*ssh.Certificate)) {
		signCert(t, path(name+"-cert.pub"), ca, newKey(t, "ecdsa", path(name), "").PublicKey(), change)
	}
	alone("expired", func(c *ssh.Certificate) { c.ValidBefore = uint64(past.Unix()) })
	alone("early", func(c *ssh.Certificate) { c.ValidAfter = uint64(future.Unix()) })
	alone("host", func(c *ssh.Certificate) { c.CertType = ssh.HostCert })
	alone("other", func(c *ssh.Certificate) { c.ValidPrincipals = []string{"somebody-else"} })
	newKey(t, "ecdsa", path("bare"), "")
	signCert(t, path("bare.crt"), ca, keyOf(t, path("bare")), nil)
	writeFile(t, path("garbage.crt"), "no certificate")
	server := startSSHD(t, nil, "TrustedUserCAKeys "+path("ca.pub"))

	const layout = "2006-01-02 15:04:05 MST"
	tests := []struct {
		name     string
		files    []string
		certs    []string
		accepted []string
		agent    []string // key files whose certificates an agent holds
		how      string
		says     string
	}{
		{name: "ed25519", files: []string{"ed25519"}, how: "the key " + path("ed25519-cert.pub")},
		{name: "rsa", files: []string{"rsa"}, how: "the key " + path("rsa-cert.pub")},
		{name: "ecdsa", files: []string{"ecdsa"}, how: "the key " + path("ecdsa-cert.pub")},
		{name: "CertificateFile", files: []string{"bare"}, certs: []string{"bare.crt"}, how: "the key " + path("bare.crt")},
		{name: "a locked key", files: []string{"locked"}, how: "the key " + path("locked-cert.pub")},
		{name: "of the agent", agent: []string{"ed25519"}, how: "the key agent"},
		{name: "PubkeyAcceptedAlgorithms", files: []string{"ed25519", "rsa"}, accepted: []string{"rsa-sha2-256-cert-v01@openssh.com"},
			how: "the key " + path("rsa-cert.pub")},
		{name: "PubkeyAcceptedAlgorithms without any", files: []string{"ed25519"}, accepted: []string{"ssh-ed25519"},
			says: "is not offered: PubkeyAcceptedAlgorithms leaves out ssh-ed25519-cert-v01@openssh.com"},
		{name: "expired", files: []string{"expired"}, says: "has expired: it was valid until " + past.Truncate(time.Second).Format(layout)},
		{name: "not valid yet", files: []string{"early"}, says: "is not valid yet: it will be from " + future.Truncate(time.Second).Format(layout)},
		{name: "a host's", files: []string{"host"}, says: "is a host's certificate"},
		{name: "for somebody else", files: []string{"other"}, says: path("other-cert.pub") + " (ecdsa-sha2-nistp256-cert-v01@openssh.com)"},
		{name: "no certificate", files: []string{"bare"}, certs: []string{"garbage.crt"}, says: path("garbage.crt") + " is no certificate"},
		{name: "a missing one", files: []string{"bare"}, certs: []string{"nosuch.crt"}, says: path("nosuch.crt") + " cannot be read"},
		{name: "without its key", certs: []string{"bare.crt"}, says: "there is no key to the certificate " + path("bare.crt")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hop := server.hop(t)
			hop.PubkeyAcceptedAlgorithms = test.accepted
			for _, f := range test.files {
				hop.IdentityFiles = append(hop.IdentityFiles, path(f))
			}
			for _, f := range test.certs {
				hop.CertificateFiles = append(hop.CertificateFiles, path(f))
			}
			if test.agent != nil {
				hop.IdentityAgent = certAgent(t, path(test.agent[0]))
			}
			p := &person{answers: []string{"secret"}}
			how, err := dialHow(t, hop, Caller{Ask: p.ask})
			if test.says == "" {
				if err != nil || how != test.how {
					t.Errorf("let in by %q, %v; want %q\n%s", how, err, test.how, server.Log())
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("let in by %q, %v; want an error that says %q", how, err, test.says)
			}
			if strings.Contains(server.Log(), "expired") {
				t.Errorf("an expired certificate was offered:\n%s", server.Log())
			}
		})
	}
}

// keyOf is the public half beside a key file.
func keyOf(t *testing.T, path string) ssh.PublicKey {
	t.Helper()
	key := readPublicKey(path + ".pub")
	if key == nil {
		t.Fatalf("no public key beside %s", path)
	}
	return key
}

// certAgent is an agent that holds a key's certificate.
func certAgent(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ssh.ParseRawPrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	cert, ok := readPublicKey(path + "-cert.pub").(*ssh.Certificate)
	if !ok {
		t.Fatal("no certificate")
	}
	if err := ring.Add(agent.AddedKey{PrivateKey: private, Certificate: cert}); err != nil {
		t.Fatal(err)
	}
	return serveAgent(t, ring)
}

func TestAlgorithmsFor(t *testing.T) {
	key := newKey(t, "rsa", filepath.Join(t.TempDir(), "id"), "").PublicKey()
	for accepted, want := range map[string]string{
		"":                                  "[rsa-sha2-512 rsa-sha2-256]",
		"rsa-sha2-256":                      "[rsa-sha2-256]",
		"ssh-rsa,rsa-sha2-512":              "[rsa-sha2-512 ssh-rsa]",
		"ssh-ed25519":                       "[]",
		"rsa-sha2-512-cert-v01@openssh.com": "[]",
	} {
		var list []string
		if accepted != "" {
			list = strings.Split(accepted, ",")
		}
		if got := fmt.Sprint(algorithmsFor(key, list)); got != want {
			t.Errorf("%q: %s, want %s", accepted, got, want)
		}
	}
}
