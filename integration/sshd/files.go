package sshd

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// ConfigFile is an ssh_config (`ssh -F`) with this server's Alias, and those of its jump host, in it.
func (s *Server) ConfigFile() string { return filepath.Join(s.dir, "ssh_config") }

// KnownHosts is the known_hosts file that the ssh_config names.
func (s *Server) KnownHosts() string { return filepath.Join(s.dir, "known_hosts") }

// IdentityFile is the private key that the server accepts.
func (s *Server) IdentityFile() string { return filepath.Join(s.dir, "id_ed25519") }

// Dir is the server's own directory; tests may put further files into it.
func (s *Server) Dir() string { return s.dir }

// Trust adds the server's host key for 127.0.0.1:port to known_hosts, for a proxy in front of it.
func (s *Server) Trust(port int) { s.t.Helper(); s.TrustAt("127.0.0.1", port) }

// TrustAt adds the server's host key for another address of its to known_hosts.
func (s *Server) TrustAt(host string, port int) {
	s.t.Helper()
	s.append("known_hosts", knownhosts.Line([]string{fmt.Sprintf("[%s]:%d", host, port)}, s.publicKey("host_key.pub"))+"\n")
}

// WriteKey writes a fresh private key that the server does not know, encrypted if passphrase is not "", and returns its path.
func (s *Server) WriteKey(name, passphrase string) string {
	s.t.Helper()
	s.newKey(name, passphrase)
	return filepath.Join(s.dir, name)
}

func (s *Server) writeKeys() {
	s.t.Helper()
	s.newKey("host_key", "")
	s.newKey("id_ed25519", "")
	pub, err := os.ReadFile(filepath.Join(s.dir, "id_ed25519.pub"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("authorized_keys", string(pub))
	s.write("known_hosts", "")
}

func (s *Server) newKey(name, passphrase string) {
	s.t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(priv, "test")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(priv, "test", []byte(passphrase))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(name, string(pem.EncodeToMemory(block)))
	s.write(name+".pub", string(ssh.MarshalAuthorizedKey(sshPub)))
}

func (s *Server) publicKey(name string) ssh.PublicKey {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(b)
	if err != nil {
		s.t.Fatal(err)
	}
	return key
}

func (s *Server) writeConfig() {
	s.t.Helper()
	lines := slices.Clone(s.opts.Lines)
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	add("Port %d", s.port)
	add("ListenAddress %s", s.opts.Address)
	if addr, err := netip.ParseAddr(s.opts.Address); err == nil && addr.Is4() {
		// Else sshd binds a port of its choice for a remote forward at ::1 first, and is content where another has it at 127.0.0.1: tests are.
		add("AddressFamily inet")
	}
	add("HostKey %s", filepath.Join(s.dir, "host_key"))
	add("AuthorizedKeysFile %s", filepath.Join(s.dir, "authorized_keys"))
	add("PidFile none")
	add("LogLevel VERBOSE")
	// The temporary directory is below /tmp, which anybody may write to: the strict check would refuse its files.
	add("StrictModes no")
	add("UsePAM no")
	add("PasswordAuthentication no")
	add("KbdInteractiveAuthentication no")
	add("PermitRootLogin prohibit-password")
	add("PermitUserRC no")
	add("PermitUserEnvironment no")
	add("UseDNS no")
	if s.opts.MaxSessions > 0 {
		add("MaxSessions %d", s.opts.MaxSessions)
	}
	if s.opts.MaxStartups != "" {
		add("MaxStartups %s", s.opts.MaxStartups)
	}
	if s.opts.NoTCPForwarding {
		add("AllowTcpForwarding no")
	}
	if s.opts.NoStreamForwarding {
		add("AllowStreamLocalForwarding no")
	}
	if s.opts.Shell != "" || s.opts.Noise != "" {
		add("ForceCommand %s", s.writeLogin())
	}
	env := s.environment()
	// sshd reads the first SetEnv line only, so all of them stand in one.
	var set strings.Builder
	for _, k := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&set, ` "%s=%s"`, k, env[k])
	}
	add("SetEnv%s", set.String())
	s.write("sshd_config", strings.Join(lines, "\n")+"\n")
}

// writeLogin writes the script that stands in for a login shell and its start-up files.
func (s *Server) writeLogin() string {
	s.t.Helper()
	script := "#!/bin/sh\n"
	if s.opts.Noise != "" {
		s.write("noise", s.opts.Noise)
		noise := filepath.Join(s.dir, "noise")
		script += "cat '" + noise + "'; cat '" + noise + "' >&2\n"
	}
	shell := `"$SHELL"`
	if s.opts.Shell != "" {
		shell = "'" + s.opts.Shell + "'"
		script += "SHELL=$(command -v " + shell + "); export SHELL\n"
	}
	script += "exec " + shell + ` -c "$SSH_ORIGINAL_COMMAND"` + "\n"
	s.write("login", script)
	path := filepath.Join(s.dir, "login")
	if err := os.Chmod(path, 0o700); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func currentUser() string {
	u, err := user.Current()
	if err != nil {
		return os.Getenv("USER")
	}
	return u.Username
}

func (s *Server) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) append(name, text string) {
	s.t.Helper()
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}
