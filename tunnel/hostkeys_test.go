package tunnel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"
)

func TestHostKeys(t *testing.T) {
	dir, temp := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	id := filepath.Join(dir, "id")
	server := startSSHD(t, []ssh.PublicKey{newKey(t, "ed25519", id, "").PublicKey()})
	good := string(ssh.MarshalAuthorizedKey(server.hostKey))
	other := string(ssh.MarshalAuthorizedKey(newKey(t, "ed25519", filepath.Join(dir, "other"), "").PublicKey()))
	otherKind := string(ssh.MarshalAuthorizedKey(newKey(t, "rsa", filepath.Join(dir, "rsa"), "").PublicKey()))
	name := fmt.Sprintf("[127.0.0.1]:%d", server.Port())
	garbage := "box ssh-quantum AAAAB3Nz\n@strange box ssh-ed25519 AAAA\nbox ssh-ed25519 !!!!\nbox\n|1|no|base64 " + other +
		"|7|x|y " + other + "[::1 " + other + "! " + other + strings.Repeat("x", 100<<10) + " " + other + "\x00\xff\n"

	tests := []struct {
		name  string
		known string
		alias string
		want  error
		says  string
		hint  string
	}{
		{name: "known", known: name + " " + good},
		{name: "known, without the port", known: "127.0.0.1 " + good},
		{name: "hashed", known: hashedName(name) + " " + good},
		{name: "pattern", known: "127.0.0.* " + good},
		{name: "after garbage", known: garbage + name + " " + good + garbage},
		{name: "with carriage returns and a comment", known: "# hello\r\n" + name + " " + strings.TrimSpace(good) + " some comment\r\n"},
		{name: "among others", known: "a,b,c " + other + name + " " + good},
		{name: "alias", alias: "Stable", known: "stable " + good},
		{name: "known, and another kind", known: name + " " + otherKind + name + " " + good},

		{name: "unknown", known: "elsewhere " + good, want: ErrHostKey, says: "is unknown: ssh-ed25519 SHA256:", hint: "`brokerctl auth box`"},
		{name: "no file", want: ErrHostKey, says: "is unknown", hint: "fingerprint"},
		{name: "only garbage", known: garbage, want: ErrHostKey, says: "is unknown"},
		{name: "negated", known: "!127.0.0.1,127.0.0.* " + good, want: ErrHostKey, says: "is unknown"},
		{name: "another port's key", known: "[127.0.0.1]:1 " + good, want: ErrHostKey, says: "is unknown"},
		{name: "changed", known: "# one\n\n" + name + " " + other, want: ErrHostKey, says: "known_hosts:3 has", hint: "attack"},
		{name: "changed, though known without the port", known: name + " " + other + "127.0.0.1 " + good, want: ErrHostKey, says: "has changed"},
		{name: "alias changed", alias: "stable", known: "stable " + other + name + " " + good, want: ErrHostKey, says: "has changed", hint: "ssh-keygen -R 'stable'"},
		{name: "another kind", known: name + " " + otherKind, want: ErrHostKey, says: "keys of other kinds are in", hint: "attack"},
		{name: "the star matches the port too", known: "* " + good},
		{name: "revoked for another host", known: name + " " + good + "@revoked elsewhere " + good},
		{name: "revoked under the bare name", known: "@revoked 127.0.0.1 " + good, want: ErrHostKey, says: "known_hosts:1", hint: "stolen"},
		{name: "revoked", known: name + " " + good + "@revoked * " + good, want: ErrHostKey, says: "known_hosts:2", hint: "stolen"},
		{name: "a CA's, and no certificate", known: "@cert-authority * " + other, want: ErrHostKey},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hop := server.hop(t, id)
			hop.HostKeyAlias = test.alias
			hop.UserKnownHostsFiles = []string{filepath.Join(dir, "nosuch"), filepath.Join(t.TempDir(), "known_hosts")}
			if test.known != "" {
				writeFile(t, hop.UserKnownHostsFiles[1], test.known)
			}
			err := dialOnce(t.Context(), []Hop{hop}, Caller{})
			if !errors.Is(err, test.want) {
				t.Fatalf("Dial = %v, want %v", err, test.want)
			}
			if err != nil {
				checkWords(t, err, test.says, test.hint)
				if strings.HasPrefix(err.Error(), "ssh:") {
					t.Errorf("%q begins with the library's words", err)
				}
			}
			hop.UserKnownHostsFiles, hop.GlobalKnownHostsFiles = nil, hop.UserKnownHostsFiles
			if err := dialOnce(t.Context(), []Hop{hop}, Caller{}); !errors.Is(err, test.want) {
				t.Errorf("with the global files: Dial = %v, want %v", err, test.want)
			}
		})
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestHostCertificate(t *testing.T) {
	dir := t.TempDir()
	id := filepath.Join(dir, "id")
	user := newKey(t, "ed25519", id, "")
	ca := newKey(t, "ed25519", filepath.Join(dir, "ca"), "")
	for _, principal := range []string{"127.0.0.1", "elsewhere"} {
		t.Run(principal, func(t *testing.T) {
			hostKey := filepath.Join(t.TempDir(), "certified")
			host := newKey(t, "ed25519", hostKey, "")
			cert := &ssh.Certificate{
				Key: host.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{principal}, ValidBefore: ssh.CertTimeInfinity,
			}
			if err := cert.SignCert(zeroReader{}, ca); err != nil {
				t.Fatal(err)
			}
			writeFile(t, hostKey+"-cert.pub", string(ssh.MarshalAuthorizedKey(cert)))
			server := startSSHD(t, []ssh.PublicKey{user.PublicKey()}, "HostKey "+hostKey, "HostCertificate "+hostKey+"-cert.pub")
			hop := server.hop(t, id)
			writeFile(t, hop.UserKnownHostsFiles[0], "@cert-authority * "+string(ssh.MarshalAuthorizedKey(ca.PublicKey())))
			err := dialOnce(t.Context(), []Hop{hop}, Caller{})
			if principal == "elsewhere" {
				if !errors.Is(err, ErrHostKey) {
					t.Fatalf("Dial = %v, want ErrHostKey", err)
				}
				return
			}
			if err != nil {
				t.Fatalf("Dial = %v", err)
			}
		})
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// FuzzKnownLines holds that no line keeps others from being read, and that none is taken for one about a host that it does not name.
func FuzzKnownLines(f *testing.F) {
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPyj0tkqgTQOn4mVGZpKmZ8xCzdSIAKYMvTDWGUgVKX6"
	for _, seed := range []string{
		"", "a " + key, "@revoked * " + key, "|1|AA==|AA== " + key, "[a]:1,!b " + key, "[a " + key, "a ssh-rsa AAAA", "\r\n# x", "@cert-authority",
		"@cert-authority @revoked * " + key, "a\x00b " + key, strings.Repeat("*", 2000) + "x " + key, "**a*b**? " + key, "! " + key, "|1||| " + key,
		hashedName("last.example") + " " + key, "a 1024 35 12345", "\xff\xfe a " + key, "a ssh-ed25519 " + strings.Repeat("A", 70<<10),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := knownLines([]byte(string(data)+"\nlast.example "+key+"\n"), "k", "last.example")
		if len(lines) == 0 || lines[len(lines)-1].mark != "" {
			t.Fatalf("the good line is not known: %v", lines)
		}
		for _, l := range lines {
			if l.key == nil {
				t.Fatalf("a line without a key: %+v", l)
			}
		}
	})
}

// Patterns match as the plainest matcher would, however they are put together.
func TestMatchPattern(t *testing.T) {
	var plain func(p, s string) bool
	plain = func(p, s string) bool {
		switch {
		case p == "":
			return s == ""
		case p[0] == '*':
			return plain(p[1:], s) || s != "" && plain(p, s[1:])
		}
		return s != "" && (p[0] == '?' || p[0] == s[0]) && plain(p[1:], s[1:])
	}
	rapid.Check(t, func(t *rapid.T) {
		p, s := rapid.StringMatching(`[ab*?]{0,8}`).Draw(t, "pattern"), rapid.StringMatching(`[ab]{0,8}`).Draw(t, "text")
		if got, want := matchPattern(p, s), plain(p, s); got != want {
			t.Fatalf("matchPattern(%q, %q) = %v", p, s, got)
		}
	})
	for list, want := range map[string]bool{
		"*": true, "box": true, "BOX": true, "b*,!box": false, "!box,*": false, "!other": false, "a,b,bo?": true, "": false, ",,box": true,
		"[box]:22": false, strings.Repeat("x", 1100) + ",box": false,
	} {
		if got := matchList(list, "box"); got != want {
			t.Errorf("matchList(%.40q) = %v", list, got)
		}
	}
}
