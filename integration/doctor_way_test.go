package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/debugbroker/debugbroker/integration/sshd"
)

// TestDoctorTheWay: a way that ends before the host, at each of the places where it may end. What comes after is said not to have been
// looked at.
func TestDoctorTheWay(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	d := s.sshd
	open := d.WriteKey("open", "")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	d.AddHost("nowhere", "HostName nosuchhost.invalid")
	d.AddHost("refused", fmt.Sprintf("Port %d", closedPort(t)))
	d.AddHost("full", fmt.Sprintf("Port %d", fullPort(t)), "ConnectTimeout 1")
	d.AddHost("mute", fmt.Sprintf("Port %d", speaks(t, "")), "ConnectTimeout 1")
	d.AddHost("halting", fmt.Sprintf("Port %d", speaks(t, "SSH-2.0-OpenSSH_9.2\r\n")), "ConnectTimeout 1")
	d.AddHost("unknownkey", "UserKnownHostsFile /dev/null")
	d.AddHost("nokey", "IdentityFile "+d.WriteKey("stranger", ""))
	d.AddHost("openkey", "IdentityFile "+authorized(t, d, open))
	d.AddHost("lockedkey", "IdentityFile "+authorized(t, d, d.WriteKey("locked", "secret")))
	d.AddHost("twokeys", "IdentityFile "+filepath.Join(d.Dir(), "stranger"), "IdentityFile "+d.IdentityFile())
	d.AddHost("viacommand", "ProxyCommand bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & cat >&3; kill $!'", "KnownHostsCommand "+filepath.Join(d.Dir(), "nosuch"))
	d.AddHost("brokencommand", "ProxyCommand sh -c 'echo no way >&2; exit 3'")
	d.AddHost("unlike", "Ciphers aes128-ctr", "BindAddress 127.0.0.1", "RekeyLimit 1M", "StrictHostKeyChecking accept-new", "UserKnownHostsFile "+filepath.Join(d.Dir(), "new_known_hosts"))
	d.AddHost("behind", "ProxyJump box", fmt.Sprintf("Port %d", closedPort(t)))
	d.AddHost("noagent", "IdentityAgent "+filepath.Join(d.Dir(), "no.sock"))
	d.AddHost("warned", "ForwardAgent yes")
	const rest = "not looked at"
	tests := []struct {
		host  string
		fails []string
		has   string // a check that fails, and what it says
		words []string
		good  []string // checks before it
	}{
		{"nowhere", []string{"name", rest}, "name", []string{"nosuchhost.invalid", "HostName"}, []string{"ssh config"}},
		{"refused", []string{"port", rest}, "port", []string{"refused", "is sshd running"}, []string{"name"}},
		{"full", []string{"port", rest}, "port", []string{"no answer in time", "firewall"}, []string{"name"}},
		{"mute", []string{"ssh server", rest}, "ssh server", []string{"no answer within 1s", "no SSH server"}, []string{"port"}},
		{"halting", []string{"ssh server", rest}, "ssh server", []string{"no answer within 1s"}, []string{"port", "ssh server"}},
		{"unknownkey", []string{"host key", rest}, "host key", []string{"unknown", "SHA256:", "run `ssh unknownkey`"}, []string{"ssh server"}},
		{"nokey", []string{"key", "authentication", rest}, "key", []string{"stranger (ssh-ed25519 SHA256:", "refused", "ssh-copy-id"}, []string{"host key"}},
		{"openkey", []string{"key", "authentication", rest}, "key", []string{open, "mode 0644", "chmod 600 " + open}, []string{"host key"}},
		{"lockedkey", []string{"key", "authentication", rest}, "key", []string{"passphrase", "ssh-add "}, []string{"host key"}},
		{"viacommand", nil, "", nil, []string{"name", "port", "host key", "sessions"}},
		{"brokencommand", []string{"ssh server", rest}, "ssh server", []string{"ProxyCommand ended with exit status 3: no way"}, []string{"port"}},
		{"unlike", nil, "", nil, []string{"port", "host key", "sessions"}},
		{"behind", []string{"port", rest}, "port", []string{"box cannot reach it"}, []string{"box: port", "box: host key", "box: authentication", "name"}},
		{"twokeys", nil, "", nil, []string{"key", "authentication", "sessions"}},
		{"noagent", nil, "", nil, []string{"key", "authentication", "sessions"}},
		{"warned", nil, "", nil, []string{"ssh options", "sessions"}},
	}
	for _, tt := range tests {
		t.Run(tt.host, func(t *testing.T) {
			t.Parallel()
			e := s.in(t).examine(t, tt.host)
			e.fails(tt.fails...)
			if tt.has != "" {
				e.has(tt.has, false, tt.words...)
			}
			for _, name := range tt.good {
				e.has(name, true)
			}
			if len(tt.fails) > 0 && e.checks[len(e.checks)-1].Check != rest {
				t.Errorf("the last check is no %q:\n%s", rest, e)
			}
		})
	}
	s.clean(t)
}

// TestDoctorJump: both hops of a way are looked at, the first under its name.
func TestDoctorJump(t *testing.T) {
	t.Parallel()
	jump := sshd.New(t, sshd.Options{Alias: "bastion"})
	s := newStation(t, sshd.Options{Jump: jump}, "")
	e := s.examine(t, "box")
	e.fails()
	for _, name := range []string{"bastion: port", "bastion: ssh server", "bastion: host key", "bastion: authentication", "port", "host key", "authentication", "sessions"} {
		e.has(name, true)
	}
	e.has("port", true, "through bastion")
}
