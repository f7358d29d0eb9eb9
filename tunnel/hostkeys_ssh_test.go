package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// keygen runs ssh-keygen.
func keygen(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", append([]string{"-q"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen %q: %v\n%s", args, err, out)
	}
}

// certified makes an sshd whose host key has a certificate that ssh-keygen made with these options, and returns also the line of its plain key and
// that of the authority.
func certified(t testing.TB, id string, caKind string, options ...string) (server *testSSHD, plain, ca string, certificate string) {
	t.Helper()
	dir := t.TempDir()
	host, authority := filepath.Join(dir, "host"), filepath.Join(dir, "ca")
	newKey(t, "ed25519", host, "")
	keygen(t, "-t", caKind, "-N", "", "-f", authority)
	keygen(t, append(append([]string{"-s", authority, "-h"}, options...), host+".pub")...)
	server = startSSHD(t, []ssh.PublicKey{readPublicKey(id + ".pub")}, "HostKey "+host, "HostCertificate "+host+"-cert.pub")
	return server, fileText(t, host+".pub"), fileText(t, authority+".pub"), host + "-cert.pub"
}

func fileText(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// sshAccepts runs ssh itself with the same settings.
func sshAccepts(t testing.TB, hop Hop) (accepted bool, said string) {
	t.Helper()
	strict := hop.StrictHostKeyChecking
	if strict == "" {
		strict = "ask"
	}
	args := []string{
		"-F", "none", "-o", "BatchMode=yes", "-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes", "-o", "PasswordAuthentication=no", "-o", "UpdateHostKeys=no", "-i", hop.IdentityFiles[0],
		"-o", "UserKnownHostsFile=" + strings.Join(hop.UserKnownHostsFiles, " "), "-o", "GlobalKnownHostsFile=" + strings.Join(append(hop.GlobalKnownHostsFiles, "/dev/null"), " "),
		"-o", "StrictHostKeyChecking=" + strict, "-p", fmt.Sprint(hop.Port), "-l", hop.User,
	}
	for option, value := range map[string]string{
		"HostKeyAlias": hop.HostKeyAlias, "KnownHostsCommand": hop.KnownHostsCommand, "RevokedHostKeys": strings.Join(hop.RevokedHostKeys, " "),
		"HostKeyAlgorithms": strings.Join(hop.HostKeyAlgorithms, ","), "CASignatureAlgorithms": strings.Join(hop.CASignatureAlgorithms, ","),
	} {
		if value != "" {
			args = append(args, "-o", option+"="+value)
		}
	}
	if hop.HashKnownHosts {
		args = append(args, "-o", "HashKnownHosts=yes")
	}
	cmd := exec.CommandContext(t.Context(), "ssh", append(args, hop.HostName, "true")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return err == nil, stderr.String()
}

// TestHostKeysAsSSH asks ssh itself, with the same files and options, whether it would connect.
func TestHostKeysAsSSH(t *testing.T) {
	dir := t.TempDir()
	id := filepath.Join(dir, "id")
	newKey(t, "ed25519", id, "")
	plainServer := startSSHD(t, []ssh.PublicKey{readPublicKey(id + ".pub")})
	rsaHost := filepath.Join(dir, "rsahost")
	newKey(t, "rsa", rsaHost, "")
	server, key, ca, certFile := certified(t, id, "ed25519", "-I", "host id", "-n", "box.example,127.0.0.1", "-V", "-1d:+1d", "-z", "7")
	expiredServer, expiredKey, expiredCA, _ := certified(t, id, "ed25519", "-I", "old", "-n", "127.0.0.1", "-V", "20200101:20210101")
	rsaServer, _, rsaCA, _ := certified(t, id, "rsa", "-I", "rsa", "-n", "127.0.0.1", "-t", "ssh-rsa") // signed with SHA-1

	other := fileText(t, id+".pub")
	rsa := fileText(t, rsaHost+".pub")
	good := string(ssh.MarshalAuthorizedKey(plainServer.hostKey))
	script := func(text string) string {
		path := filepath.Join(t.TempDir(), "command")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "file")
		writeFile(t, path, text)
		return path
	}
	krl := func(spec string, args ...string) string {
		path := filepath.Join(t.TempDir(), "krl")
		keygen(t, append(append([]string{"-k", "-f", path}, args...), file(spec))...)
		return path
	}
	caFile := file(ca)

	type testCase struct {
		name   string
		server *testSSHD
		known  string // %H is [127.0.0.1]:port
		set    func(*Hop)
		want   bool
	}
	strict := func(s string) func(*Hop) { return func(h *Hop) { h.StrictHostKeyChecking = s } }
	tests := []testCase{
		{"known", plainServer, "%H " + good, nil, true},
		{"known by the bare name", plainServer, "127.0.0.1 " + good, nil, true},
		{"another key by name and port, known by the bare name", plainServer, "%H " + other + "127.0.0.1 " + good, nil, false},
		{"another key by the bare name alone", plainServer, "127.0.0.1 " + other, strict("accept-new"), true},
		{"star", plainServer, "* " + good, nil, true},
		{"star of the port", plainServer, "[127.0.0.*]:* " + good, nil, true},
		{"question marks", plainServer, "???.0.0.1 " + good, nil, true},
		{"another key under a star", plainServer, "* " + other, strict("accept-new"), false},
		{"negated", plainServer, "!127.0.0.1,127.* " + good, nil, false},
		{"negated after", plainServer, "127.*,!127.0.0.1 " + good, nil, false},
		{"two keys", plainServer, "%H " + other + "%H " + good, nil, true},
		{"two keys on names in a list", plainServer, "a,%H,b " + good, nil, true},
		{"upper case", plainServer, "LOCALHOST " + good, func(h *Hop) { h.HostName = "localhost" }, true},
		{"with garbage", plainServer, "@what %H " + good + "%H ssh-new AAAA\n%H ssh-ed25519 !!!\n|1|x|y " + good + "%H\n\n#\n  %H " + good, nil, true},
		{"only garbage", plainServer, "%H ssh-ed25519 AAAA\n@revoked\n%H " + strings.Replace(good, "ssh-ed25519", "ssh-rsa", 1), nil, false},
		{"commented out", plainServer, "#%H " + good, nil, false},
		{"windows line ends", plainServer, "%H " + strings.TrimSpace(good) + "\r\n", nil, true},
		{"unknown, yes", plainServer, "", strict("yes"), false},
		{"unknown, ask", plainServer, "", strict("ask"), false},
		{"unknown, accept-new", plainServer, "x " + good, strict("accept-new"), true},
		{"unknown, no", plainServer, "x " + good, strict("no"), true},
		{"unknown, accept-new, hashed", plainServer, "x " + good, func(h *Hop) { h.StrictHostKeyChecking, h.HashKnownHosts = "accept-new", true }, true},
		{"unknown, accept-new, no file to write to", plainServer, "", func(h *Hop) {
			h.StrictHostKeyChecking, h.UserKnownHostsFiles, h.GlobalKnownHostsFiles = "accept-new", nil, h.UserKnownHostsFiles
		}, false},
		{"changed, accept-new", plainServer, "%H " + other, strict("accept-new"), false},
		{"only another kind is known", plainServer, "%H " + rsa, strict("accept-new"), false},
		{"alias", plainServer, "stable " + good, func(h *Hop) { h.HostKeyAlias = "stable" }, true},
		{"alias unknown", plainServer, "%H " + good + "127.0.0.1 " + good, func(h *Hop) { h.HostKeyAlias = "stable" }, false},
		{"revoked", plainServer, "%H " + good + "@revoked * " + good, strict("accept-new"), false},
		{"revoked elsewhere", plainServer, "%H " + good + "@revoked elsewhere " + good, nil, true},
		{"global file", plainServer, "%H " + good, func(h *Hop) {
			h.UserKnownHostsFiles, h.GlobalKnownHostsFiles = []string{"/nonexistent/k"}, h.UserKnownHostsFiles
		}, true},
		{"second file", plainServer, "%H " + good, func(h *Hop) { h.UserKnownHostsFiles = append([]string{file("%H x")}, h.UserKnownHostsFiles...) }, true},
		{"algorithms leave the known key out", plainServer, "%H " + good, func(h *Hop) { h.HostKeyAlgorithms = []string{"rsa-sha2-512"} }, false},
		{"algorithms have the known key", plainServer, "%H " + good, func(h *Hop) { h.HostKeyAlgorithms = []string{"rsa-sha2-512", "ssh-ed25519"} }, true},

		{"authority", server, "@cert-authority 127.0.0.1 " + ca, nil, true},
		{"authority by name and port", server, "@cert-authority %H " + ca, nil, true},
		{"authority for others", server, "@cert-authority *.example " + ca, nil, false},
		{"authority negated", server, "@cert-authority *,!127.0.0.1,!%H " + ca, nil, false},
		{"another authority", server, "@cert-authority * " + other, nil, false},
		{"another authority, plain key known", server, "@cert-authority * " + other + "%H " + key, nil, true},
		{"another authority, accept-new", server, "@cert-authority * " + other, strict("accept-new"), true},
		{"authority revoked", server, "@cert-authority * " + ca + "@revoked * " + ca, strict("accept-new"), false},
		{"certified key revoked", server, "@cert-authority * " + ca + "@revoked * " + key, strict("accept-new"), false},
		{"authority as a key", server, "* " + ca, nil, false},
		{"principal by alias", server, "@cert-authority * " + ca, func(h *Hop) { h.HostKeyAlias = "box.example" }, true},
		{"no such principal", server, "@cert-authority * " + ca, func(h *Hop) { h.HostKeyAlias = "box2.example" }, false},
		{"signature not allowed", server, "@cert-authority * " + ca, func(h *Hop) { h.CASignatureAlgorithms = []string{"rsa-sha2-512"} }, false},
		{"certificate expired", expiredServer, "@cert-authority * " + expiredCA, nil, false},
		{"certificate expired, plain key known", expiredServer, "@cert-authority * " + expiredCA + "%H " + expiredKey, nil, true},
		{"certificate with SHA-1", rsaServer, "@cert-authority * " + rsaCA, nil, false},

		{"revoked list", plainServer, "%H " + good, func(h *Hop) { h.RevokedHostKeys = []string{file("# x\n\n" + other + good)} }, false},
		{"revoked list of others", plainServer, "%H " + good, func(h *Hop) { h.RevokedHostKeys = []string{file(other + rsa)} }, true},
		{"revoked list missing", plainServer, "%H " + good, func(h *Hop) { h.RevokedHostKeys = []string{"/nonexistent"} }, false},
		{"revoked list damaged", plainServer, "%H " + good, func(h *Hop) { h.RevokedHostKeys = []string{file("what is this\n")} }, false},
		{"revoked list has the authority", server, "@cert-authority * " + ca, func(h *Hop) { h.RevokedHostKeys = []string{caFile} }, false},
		{"krl of the key", plainServer, "%H " + good, func(h *Hop) { h.RevokedHostKeys = []string{krl(good)} }, false},
		{"krl of other keys", plainServer, "%H " + good, func(h *Hop) { h.RevokedHostKeys = []string{krl(other + rsa)} }, true},
		{"krl by fingerprint", plainServer, "%H " + good, func(h *Hop) { h.RevokedHostKeys = []string{krl("sha256: " + good)} }, false},
		{"krl by hash", plainServer, "%H " + good, func(h *Hop) {
			h.RevokedHostKeys = []string{krl("hash: " + ssh.FingerprintSHA256(plainServer.hostKey) + "\n")}
		}, false},
		{"krl by sha1", plainServer, "%H " + good, func(h *Hop) { h.RevokedHostKeys = []string{krl("sha1: " + good)} }, false},
		{"krl by serial", server, "@cert-authority * " + ca, func(h *Hop) { h.RevokedHostKeys = []string{krl("serial: 7\n", "-s", caFile)} }, false},
		{"krl by another serial", server, "@cert-authority * " + ca, func(h *Hop) { h.RevokedHostKeys = []string{krl("serial: 8\n", "-s", caFile)} }, true},
		{"krl by range", server, "@cert-authority * " + ca, func(h *Hop) { h.RevokedHostKeys = []string{krl("serial: 5-900\n", "-s", caFile)} }, false},
		{"krl by bitmap", server, "@cert-authority * " + ca, func(h *Hop) {
			h.RevokedHostKeys = []string{krl("serial: 1\nserial: 3\nserial: 5\nserial: 7\nserial: 9\n", "-s", caFile)}
		}, false},
		{"krl by bitmap, beside it", server, "@cert-authority * " + ca, func(h *Hop) {
			h.RevokedHostKeys = []string{krl("serial: 2\nserial: 4\nserial: 6\nserial: 8\nserial: 10\n", "-s", caFile)}
		}, true},
		{"krl by id", server, "@cert-authority * " + ca, func(h *Hop) { h.RevokedHostKeys = []string{krl("id: host id\n", "-s", caFile)} }, false},
		{"krl by id of any authority", server, "@cert-authority * " + ca, func(h *Hop) { h.RevokedHostKeys = []string{krl("id: host id\n", "-s", "none")} }, false},
		{"krl by the serial of another authority", server, "@cert-authority * " + ca, func(h *Hop) { h.RevokedHostKeys = []string{krl("serial: 7\n", "-s", id+".pub")} }, true},
		{"krl of the certificate", server, "@cert-authority * " + ca, func(h *Hop) { h.RevokedHostKeys = []string{krl(fileText(t, certFile))} }, false},
		{"krl of the authority", server, "@cert-authority * " + ca, func(h *Hop) { h.RevokedHostKeys = []string{krl(ca)} }, false},
		{"krl cut short", plainServer, "%H " + good, func(h *Hop) {
			data := fileText(t, krl(other+rsa))
			h.RevokedHostKeys = []string{file(data[:len(data)-3])}
		}, false},

		{"command", plainServer, "", func(h *Hop) {
			h.KnownHostsCommand = script(`[ "$1 $2" = "a b HOSTNAME" ] && echo "$3 `+strings.TrimSpace(good)+`"; exit 0`) + ` "a b" %I %H`
		}, true},
		{"command before the key is seen", plainServer, "", func(h *Hop) {
			h.KnownHostsCommand = script(`[ "$*" = "ORDER NONE NONE NONE" ] || echo "$1 $2" >&2; case $2 in ssh-*) echo "* $2 $4";; esac`) + ` %I %t %f %K`
		}, true},
		{"command says another key", plainServer, "", func(h *Hop) {
			h.StrictHostKeyChecking = "accept-new"
			h.KnownHostsCommand = script("echo '* " + strings.TrimSpace(other) + "'")
		}, false},
		{"command revokes", plainServer, "%H " + good, func(h *Hop) { h.KnownHostsCommand = script("echo '@revoked * " + strings.TrimSpace(good) + "'") }, false},
		{"command fails", plainServer, "%H " + good, func(h *Hop) { h.KnownHostsCommand = script("exit 3") }, false},
		{"command is not there", plainServer, "%H " + good, func(h *Hop) { h.KnownHostsCommand = "/nonexistent/command" }, true},
		{"command without a path", plainServer, "%H " + good, func(h *Hop) { h.KnownHostsCommand = "true" }, true},
	}
	if len(tests) < 25 {
		t.Fatal("the table has shrunk")
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hop := test.server.hop(t, id)
			text := strings.ReplaceAll(test.known, "%H", fmt.Sprintf("[127.0.0.1]:%d", hop.Port))
			ours, theirs := filepath.Join(t.TempDir(), "ours"), filepath.Join(t.TempDir(), "theirs")
			writeFile(t, ours, text)
			writeFile(t, theirs, text)
			settings := func(path string) Hop {
				h := hop
				h.UserKnownHostsFiles = []string{path}
				if test.set != nil {
					test.set(&h)
				}
				return h
			}
			accepted, said := sshAccepts(t, settings(theirs))
			if accepted != test.want {
				t.Errorf("ssh accepts: %v, which is not what is expected; it says\n%s", accepted, said)
			}
			err := dialOnce(t.Context(), []Hop{settings(ours)}, Caller{})
			if accepted != (err == nil) || err != nil && !errors.Is(err, ErrHostKey) && !strings.Contains(test.name, "leave the known key out") {
				t.Errorf("ssh accepts: %v; Dial = %v; ssh says\n%s", accepted, err, said)
			}
			if after := fileText(t, ours); !settings(ours).HashKnownHosts && after != fileText(t, theirs) {
				t.Errorf("known_hosts is now\n%s\nssh made it\n%s", after, fileText(t, theirs))
			}
			if settings(ours).HashKnownHosts { // each can read the other's
				hop := settings(ours)
				hop.StrictHostKeyChecking = "yes"
				if accepted, said := sshAccepts(t, hop); !accepted {
					t.Errorf("ssh does not know the key that we have written: %s", said)
				}
				hop = settings(theirs)
				hop.StrictHostKeyChecking = "yes"
				if err := dialOnce(t.Context(), []Hop{hop}, Caller{}); err != nil {
					t.Errorf("the key that ssh has written: %v", err)
				}
			}
		})
	}
}

// TestHashedKnownHosts reads what `ssh-keygen -H` makes of a file.
func TestHashedKnownHosts(t *testing.T) {
	server, hop := testBox(t)
	path := hop.UserKnownHostsFiles[0]
	writeFile(t, path, "elsewhere,other "+string(ssh.MarshalAuthorizedKey(server.hostKey))+server.knownLine(t))
	keygen(t, "-H", "-f", path)
	if text := fileText(t, path); strings.Contains(text, "127.0.0.1") || !strings.Contains(text, "|1|") {
		t.Fatalf("not hashed:\n%s", text)
	}
	if err := dialOnce(t.Context(), []Hop{hop}, Caller{}); err != nil {
		t.Fatal(err)
	}
	hop.HostKeyAlias = "third"
	if err := dialOnce(t.Context(), []Hop{hop}, Caller{}); !errors.Is(err, ErrHostKey) {
		t.Fatalf("Dial = %v", err)
	}
}

// TestHostCertificates are those on which versions of OpenSSH differ: we follow the newest (10.3), which takes patterns as principals, takes a
// certificate without any for nobody's, and does not fall back to a key that HostKeyAlgorithms leaves out.
func TestHostCertificates(t *testing.T) {
	id := filepath.Join(t.TempDir(), "id")
	newKey(t, "ed25519", id, "")
	pattern, key, ca, _ := certified(t, id, "ed25519", "-I", "x", "-n", "127.0.0.*")
	none, _, noCA, _ := certified(t, id, "ed25519", "-I", "x")
	tests := []struct {
		name   string
		server *testSSHD
		known  string
		algos  []string
		says   string // "" where it is trusted
	}{
		{"pattern", pattern, "@cert-authority * " + ca, nil, ""},
		{"no principal", none, "@cert-authority * " + noCA, nil, "it is for nobody"},
		{"certificates only", pattern, "127.0.0.1 " + key, []string{ssh.CertAlgoED25519v01}, "certificate of 127.0.0.1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hop := test.server.hop(t, id)
			hop.HostKeyAlgorithms = test.algos
			writeFile(t, hop.UserKnownHostsFiles[0], test.known)
			err := dialOnce(t.Context(), []Hop{hop}, Caller{})
			if test.says == "" && err != nil {
				t.Fatal(err)
			}
			if test.says != "" && !errors.Is(err, ErrHostKey) {
				t.Fatalf("Dial = %v", err)
			}
			if err != nil {
				checkWords(t, err, test.says, "")
			}
		})
	}
}

// TestExpiredHostCertificate: the dates are told.
func TestExpiredHostCertificate(t *testing.T) {
	id := filepath.Join(t.TempDir(), "id")
	newKey(t, "ed25519", id, "")
	for validity, says := range map[string]string{
		"20200101:20210101": "it has expired: it was valid from 2020-01-01",
		"+10d:+20d":         "not valid yet, but from " + time.Now().Add(10*24*time.Hour).UTC().Format("2006-01-02"),
	} {
		server, _, ca, _ := certified(t, id, "ed25519", "-I", "old", "-n", "127.0.0.1", "-V", validity)
		hop := server.hop(t, id)
		writeFile(t, hop.UserKnownHostsFiles[0], "@cert-authority * "+ca)
		err := dialOnce(t.Context(), []Hop{hop}, Caller{})
		if !errors.Is(err, ErrHostKey) {
			t.Fatalf("Dial = %v", err)
		}
		checkWords(t, err, says, "")
		checkWords(t, err, "until 20", "brokerctl auth")
	}
}
