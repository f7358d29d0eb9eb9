package sshconfig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/tools"
	"github.com/debugbroker/debugbroker/tunnel"
)

// brief tells the hops of a target in one line: user@host:port, nearest first.
func brief(target tunnel.Target) string {
	var words []string
	for _, h := range target.Hops() {
		words = append(words, fmt.Sprintf("%s@%s:%d", h.User, h.HostName, h.Port))
	}
	return strings.Join(words, " > ")
}

func TestResolve(t *testing.T) {
	me := currentAccount()
	tests := []struct {
		name   string
		config string
		alias  string
		want   string
	}{
		{"nothing set", "", "web1", me.name + "@web1:22"},
		{"alias", "Host web1\n HostName web1.example\n User bob\n Port 2222\n", "web1", "bob@web1.example:2222"},
		{"user given", "Host web1\n User bob\n", "ann@web1", "ann@web1:22"},
		{"a user with an at sign", "", "ann@corp@web1", "ann@corp@web1:22"},
		{"URL", "Host web1\n User bob\n Port 2222\n", "ssh://ann@web1:33", "ann@web1:33"},
		{"IPv6", "", "[2001:db8::1]", me.name + "@2001:db8::1:22"},
		{"bare IPv6", "", "::1", me.name + "@::1:22"},
		{"HostName %h", "Host *\n HostName %h.example\n", "web1", me.name + "@web1.example:22"},
		{"jump", "Host web1\n ProxyJump bastion\nHost bastion\n User jo\n Port 2200\n", "web1",
			"jo@bastion:2200 > " + me.name + "@web1:22"},
		{"jump list", "Host web1\n ProxyJump a@h1:1,ssh://b@h2:2,c@[::3]:3\n", "web1", "a@h1:1 > b@h2:2 > c@::3:3 > " + me.name + "@web1:22"},
		{"jump over a jump", "Host web1\n ProxyJump b\nHost b\n ProxyJump c\n", "web1",
			fmt.Sprintf("%[1]s@c:22 > %[1]s@b:22 > %[1]s@web1:22", me.name)},
		{"only the first goes by its own way", "Host web1\n ProxyJump a,b\nHost b\n ProxyJump c\n", "web1",
			fmt.Sprintf("%[1]s@a:22 > %[1]s@b:22 > %[1]s@web1:22", me.name)},
		{"jump none", "Host web1\n ProxyJump none\nHost *\n ProxyJump bastion\n", "web1", me.name + "@web1:22"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := configFile(t, test.config)
			for kind, r := range map[string]*Resolver{"ssh": withSSH(t, file), "native": without(file)} {
				target, err := r.Resolve(t.Context(), test.alias, nil)
				if err != nil {
					t.Errorf("%s: %v", kind, err)
				} else if got := brief(target); got != test.want {
					t.Errorf("%s: %s, want %s", kind, got, test.want)
				}
			}
		})
	}
}

func TestHopSettings(t *testing.T) {
	me := currentAccount()
	file := configFile(t, `
Host web1
  HostName web1.example
  User bob
  IdentityFile ~/.ssh/%h_%r
  IdentityFile "/keys/my key"
  IdentityFile ${KEYDIR}/id
  IdentitiesOnly yes
  IdentityAgent ~/agent-%n
  HostKeyAlias stable
  UserKnownHostsFile ~/a "/tmp/b c" /tmp/d
  ConnectTimeout 7
  ServerAliveInterval 20
  ServerAliveCountMax 2
  AddressFamily inet6
`)
	target, err := withSSH(t, file).Resolve(t.Context(), "web1", append(os.Environ(), "KEYDIR=/mnt/keys"))
	if err != nil {
		t.Fatal(err)
	}
	got := target.Last()
	want := tunnel.Hop{
		Alias: "web1", HostName: "web1.example", Port: 22, User: "bob", AddressFamily: "inet6",
		IdentityFiles:         []string{me.home + "/.ssh/web1.example_bob", "/keys/my key", "/mnt/keys/id"},
		IdentitiesOnly:        true,
		IdentityAgent:         me.home + "/agent-web1",
		HostKeyAlias:          "stable",
		UserKnownHostsFiles:   []string{me.home + "/a", "/tmp/b c", "/tmp/d"},
		GlobalKnownHostsFiles: []string{"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"},
		ConnectTimeout:        7 * time.Second, ServerAliveInterval: 20 * time.Second, ServerAliveCountMax: 2,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct {
		config string
		want   []string
	}{
		{"", nil},
		{"ForwardAgent no\nForwardX11 no\nControlPath none\nPort 22\nIdentityAgent none\nServerAliveInterval 3\n", nil},
		{"ProxyCommand nc %h %p\n", nil},
		{"ProxyCommand none\n", nil},
		{"CertificateFile ~/c\nPreferredAuthentications password\nPubkeyAcceptedAlgorithms ssh-ed25519\nPubkeyAuthentication no\n", nil},
		{"ForwardAgent yes\n", []string{"ForwardAgent is not honoured: an agent is forwarded only where brokerd's configuration has forward_agent = true for the host"}},
		{"StrictHostKeyChecking no\n", []string{"StrictHostKeyChecking no accepts unknown host keys only: one that has changed, or is revoked, is refused"}},
		{"StrictHostKeyChecking accept-new\nKnownHostsCommand /bin/x\nRevokedHostKeys /x\nControlPath /tmp/%C\n", nil},
		{"LocalForward 80 x:80\nLocalForward /tmp/a x:80\nDynamicForward 1080\nRemoteForward 80 x:80\n", nil}, // made when asked for
		{"RemoteCommand top\n", []string{"RemoteCommand is not honoured"}},
		{"SendEnv FOO\nSetEnv A=b\n", []string{"SendEnv is not honoured"}},
		{"BindAddress 127.0.0.1\nRekeyLimit 1G\nHostKeyAlgorithms ssh-ed25519\nCASignatureAlgorithms ssh-ed25519\n", nil},
		{"PKCS11Provider /x.so\n", []string{"PKCS11Provider is not honoured"}},
		{"Ciphers aes128-ctr\n", nil},
		{"MACs hmac-sha2-256\nKexAlgorithms curve25519-sha256\n", nil},
	}
	for _, test := range tests {
		file := configFile(t, "Host *\n"+test.config)
		for kind, r := range map[string]*Resolver{"ssh": withSSH(t, file), "native": without(file)} {
			target, err := r.Resolve(t.Context(), "web1", nil)
			if err != nil {
				t.Errorf("%q by %s: %v", test.config, kind, err)
				continue
			}
			if got := target.Last().Warnings; !slices.Equal(got, test.want) {
				t.Errorf("%q by %s: warnings %q, want %q", test.config, kind, got, test.want)
			}
		}
	}
}

// A jump host carries the way on, and nothing that its configuration says of sessions there.
func TestJumpHostsHaveNoSessions(t *testing.T) {
	file := configFile(t, "Host web1\n ProxyJump a,b\nHost *\n LocalForward 1 x:1\n SetEnv A=b\n RemoteCommand top\n ForwardAgent yes\n Compression yes\n")
	for kind, r := range map[string]*Resolver{"ssh": withSSH(t, file), "native": without(file)} {
		for range 2 { // and the answers that are kept are not harmed
			target, err := r.Resolve(t.Context(), "web1", nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, hop := range target.Hops() {
				last := i == 2
				if (len(hop.Forwards) > 0) != last || (len(hop.SetEnv) > 0) != last || (hop.ForwardAgent != "") != last {
					t.Errorf("%s: hop %d: %+v", kind, i, hop)
				}
				said := strings.Join(hop.Warnings, "\n")
				if strings.Contains(said, "RemoteCommand") != last || !strings.Contains(said, "Compression") {
					t.Errorf("%s: hop %d: warnings %q", kind, i, hop.Warnings)
				}
			}
		}
	}
}

func TestProxyCommandIsPassedOn(t *testing.T) {
	file := configFile(t, "Host *\nProxyCommand nc %h %p\n")
	for kind, r := range map[string]*Resolver{"ssh": withSSH(t, file), "native": without(file)} {
		target, err := r.Resolve(t.Context(), "web1", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&tunnel.Dialer{}).Dial(t.Context(), target, tunnel.Caller{}, nil); !errors.Is(err, tunnel.ErrUnreachable) {
			t.Errorf("%s: Dial = %v, want ErrUnreachable", kind, err)
		}
	}
}

func TestBadNames(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	file := configFile(t, "")
	names := []string{
		"", "-oProxyCommand=touch " + mark, "-oProxyCommand=x", "a b", "a;b", "a$(b)", "a`b`", "a|b", "a&b", "a<b", "a\nb", "a\x00b", "a'b", `a"b`, `a\b`,
		"@host", "-u@host", "u;x@host", "web*", "web?", "!web", "[a", "a/b", "ssh://", "ssh://h:0", "ssh://h:99999", "ssh://h/path", "ssh://-x",
		strings.Repeat("a", 300), "user@", "\u202eevil", "a\u2028b",
	}
	for _, name := range names {
		for kind, r := range map[string]*Resolver{"ssh": withSSH(t, file), "native": without(file)} {
			if _, err := r.Resolve(t.Context(), name, nil); !errors.Is(err, ErrBadName) {
				t.Errorf("%s: Resolve(%q) = %v, want ErrBadName", kind, name, err)
			}
		}
	}
	if exists(mark) {
		t.Error("a name was run as a command")
	}
}

func TestResolveFailures(t *testing.T) {
	for name, config := range map[string]string{
		"circle":   "Host a\n ProxyJump b\nHost b\n ProxyJump a\n",
		"itself":   "Host *\n ProxyJump b\n",
		"bad jump": "Host a\n ProxyJump x@-oFoo\n",
	} {
		file := configFile(t, config)
		for kind, r := range map[string]*Resolver{"ssh": withSSH(t, file), "native": without(file)} {
			_, err := r.Resolve(t.Context(), "a", nil)
			if !errors.Is(err, tunnel.ErrHostUnresolvable) {
				t.Errorf("%s, %s: %v, want ErrHostUnresolvable", name, kind, err)
			}
			var h *tunnel.HintedError
			says := name == "circle" || name == "itself" && kind == "native" // ssh -G sees the other for itself
			if says && (!errors.As(err, &h) || !strings.Contains(h.Hint, "ProxyJump none")) {
				t.Errorf("%s, %s: %v has no hint", name, kind, err)
			}
		}
	}
	missing := filepath.Join(t.TempDir(), "nosuch")
	for kind, r := range map[string]*Resolver{"ssh": withSSH(t, missing), "native": without(missing)} {
		if _, err := r.Resolve(t.Context(), "a", nil); !errors.Is(err, ErrNoFile) {
			t.Errorf("%s: no such file: %v", kind, err)
		}
	}
	r := withSSH(t, configFile(t, "Host *\n NoSuchOption yes\n"))
	if _, err := r.Resolve(t.Context(), "a", nil); !errors.Is(err, tunnel.ErrHostUnresolvable) {
		t.Errorf("bad option: %v", err)
	}
}

func TestAskIsBoundedAndKept(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	script := filepath.Join(t.TempDir(), "ssh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho x >>"+count+"\nexec "+tools.Need(t, tools.SSH)+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	included := filepath.Join(dir, "conf.d")
	if err := os.Mkdir(included, 0o700); err != nil {
		t.Fatal(err)
	}
	file := configFile(t, "Include "+included+"/*.conf\nHost web1\n User bob\n")
	r := NewResolver(Options{File: file, SSH: script})
	runs := func() int {
		data, _ := os.ReadFile(count)
		return strings.Count(string(data), "x")
	}
	resolve := func(want string) {
		t.Helper()
		target, err := r.Resolve(t.Context(), "web1", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := target.Last().User; got != want {
			t.Errorf("User = %q, want %q", got, want)
		}
	}
	resolve("bob")
	before := runs()
	resolve("bob")
	if runs() != before {
		t.Error("ssh was asked again though nothing has changed")
	}
	writeFile(t, filepath.Join(included, "a.conf"), "Host web1\n User ann\n")
	resolve("ann")
	writeFile(t, filepath.Join(included, "a.conf"), "Host web1\n User carla\n")
	resolve("carla")

	hanging := NewResolver(Options{File: configFile(t, "Match exec \"sleep 600\"\n User x\n"), SSH: tools.Need(t, tools.SSH)})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := hanging.Resolve(ctx, "web1", nil); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("a Match exec that hangs: %v after %s", err, time.Since(began))
	}
}
