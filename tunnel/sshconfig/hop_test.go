package sshconfig

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/tunnel"
)

// Every field of a Hop has an option that fills it.
func TestHopFields(t *testing.T) {
	me := currentAccount()
	file := configFile(t, `
Host web1
  HostName %h.example
  User bob
  Port 2222
  AddressFamily inet
  ProxyCommand "/usr/bin/my proxy" --to '%h' %p %r %n 100%% # no comment
  BindAddress 127.0.0.1
  BindInterface lo
  IdentityFile ~/.ssh/%n
  IdentitiesOnly yes
  IdentityAgent ~/agent%%
  CertificateFile ~/c-%h
  CertificateFile "/a b/c"
  PreferredAuthentications publickey,password
  PubkeyAuthentication no
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  NumberOfPasswordPrompts 1
  PubkeyAcceptedAlgorithms ssh-ed25519
  AddKeysToAgent confirm 1h
  ForwardAgent yes
  HostKeyAlias Stable
  StrictHostKeyChecking accept-new
  HashKnownHosts yes
  KnownHostsCommand /bin/kh %f %H %I %K %t %% "%h  %u" ${PERCENT}
  RevokedHostKeys ~/revoked
  HostKeyAlgorithms rsa-sha2-512
  CASignatureAlgorithms ssh-ed25519,rsa-sha2-512
  KexAlgorithms curve25519-sha256
  Ciphers aes256-ctr,aes128-ctr
  MACs hmac-sha2-256
  RekeyLimit 1G
  ControlPath ~/.ssh/cm-%r@%h:%p
  UserKnownHostsFile ~/k "/tmp/b c"
  GlobalKnownHostsFile /etc/g
  ConnectTimeout 1m
  ServerAliveInterval 20
  ServerAliveCountMax 2
  SetEnv A=b "C=d e"
  LocalForward 8080 db:80
  ExitOnForwardFailure yes
  GatewayPorts yes
  StreamLocalBindMask 0117
  StreamLocalBindUnlink yes
`)
	want := tunnel.Hop{
		Alias: "web1", HostName: "web1.example", Port: 2222, User: "bob", AddressFamily: "inet",
		ProxyCommand: `"/usr/bin/my proxy" --to 'web1.example' 2222 bob web1 100% # no comment`,
		BindAddress:  "127.0.0.1", BindInterface: "lo",
		IdentityFiles: []string{me.home + "/.ssh/web1"}, IdentitiesOnly: true, IdentityAgent: me.home + "/agent%",
		CertificateFiles:         []string{me.home + "/c-web1.example", "/a b/c"},
		PreferredAuthentications: []string{"publickey", "password"},
		PubkeyAuthentication:     "no", PasswordAuthentication: "no", KbdInteractive: "no", NumberOfPasswordPrompts: 1,
		PubkeyAcceptedAlgorithms: []string{"ssh-ed25519"}, AddKeysToAgent: "confirm 3600", ForwardAgent: "yes",
		HostKeyAlias: "stable", StrictHostKeyChecking: "accept-new", HashKnownHosts: true,
		KnownHostsCommand: "/bin/kh %f %H %I %K %t %% \"web1.example  " + me.name + "\" \"5%% \\\"x\"",
		RevokedHostKeys:   []string{me.home + "/revoked"},
		HostKeyAlgorithms: []string{"rsa-sha2-512"}, CASignatureAlgorithms: []string{"ssh-ed25519", "rsa-sha2-512"},
		KexAlgorithms: []string{"curve25519-sha256"}, Ciphers: []string{"aes256-ctr", "aes128-ctr"}, MACs: []string{"hmac-sha2-256"},
		RekeyLimit: 1 << 30, ControlPath: me.home + "/.ssh/cm-bob@web1.example:2222",
		UserKnownHostsFiles: []string{me.home + "/k", "/tmp/b c"}, GlobalKnownHostsFiles: []string{"/etc/g"},
		SetEnv:         []string{"A=b", "C=d e"},
		ConnectTimeout: 60e9, ServerAliveInterval: 20e9, ServerAliveCountMax: 2,
		Forwards: []tunnel.ForwardSpec{
			{Kind: tunnel.ForwardLocal, Listen: tunnel.Endpoint{Port: 8080}, Target: tunnel.Endpoint{Host: "db", Port: 80}},
		},
		ExitOnForwardFailure: true, GatewayPorts: true, StreamLocalBindMask: 0o117, StreamLocalUnlink: true,
	}
	target, err := withSSH(t, file).Resolve(t.Context(), "web1", append(os.Environ(), `PERCENT=5% "x`))
	if err != nil {
		t.Fatal(err)
	}
	got := target.Last()
	got.Warnings = nil
	a, b := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range a.NumField() {
		name := a.Type().Field(i).Name
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			t.Errorf("%s: got %v, want %v", name, a.Field(i), b.Field(i))
		}
		if name != "Warnings" && name != "LendAgent" && b.Field(i).IsZero() { // the latter is for our own configuration to say
			t.Errorf("%s is not tested", name)
		}
	}
}

// Without a word of the user's the zero values stand, so that our own defaults are used.
func TestHopDefaults(t *testing.T) {
	target, err := withSSH(t, configFile(t, "")).Resolve(t.Context(), "web1", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := target.Last()
	if len(got.IdentityFiles) == 0 || len(got.UserKnownHostsFiles) == 0 || len(got.GlobalKnownHostsFiles) == 0 {
		t.Errorf("no files: %+v", got)
	}
	got.IdentityFiles, got.UserKnownHostsFiles, got.GlobalKnownHostsFiles = nil, nil, nil
	if want := (tunnel.Hop{Alias: "web1", HostName: "web1", Port: 22, User: currentAccount().name}); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestForwards(t *testing.T) {
	me := currentAccount()
	port := func(host string, n int) tunnel.Endpoint { return tunnel.Endpoint{Host: host, Port: n} }
	path := func(p string) tunnel.Endpoint { return tunnel.Endpoint{Path: p} }
	nowhere := tunnel.Endpoint{}
	fwd := func(kind tunnel.ForwardKind, listen, target tunnel.Endpoint) tunnel.ForwardSpec {
		return tunnel.ForwardSpec{Kind: kind, Listen: listen, Target: target}
	}
	tests := []struct {
		config string
		want   []tunnel.ForwardSpec
	}{
		{"LocalForward 8080 %h:80", []tunnel.ForwardSpec{fwd(tunnel.ForwardLocal, port("", 8080), port("web1", 80))}},
		{"LocalForward 127.0.0.1:8081 [::1]:80", []tunnel.ForwardSpec{fwd(tunnel.ForwardLocal, port("127.0.0.1", 8081), port("::1", 80))}},
		{"LocalForward [::1]:8082 /run/%n.sock", []tunnel.ForwardSpec{fwd(tunnel.ForwardLocal, port("::1", 8082), path("/run/web1.sock"))}},
		{"LocalForward *:8083 x:http", []tunnel.ForwardSpec{fwd(tunnel.ForwardLocal, port("*", 8083), port("x", 80))}},
		{"LocalForward :8083 x:80", []tunnel.ForwardSpec{fwd(tunnel.ForwardLocal, port("*", 8083), port("x", 80))}},
		{"LocalForward /tmp/%h.sock db:5432", []tunnel.ForwardSpec{fwd(tunnel.ForwardLocal, path("/tmp/web1.sock"), port("db", 5432))}},
		{"LocalForward ~/b.sock /tmp/c.sock", []tunnel.ForwardSpec{fwd(tunnel.ForwardLocal, path(me.home+"/b.sock"), path("/tmp/c.sock"))}},
		{"LocalForward 80 \"/tmp/a b.sock\"", []tunnel.ForwardSpec{fwd(tunnel.ForwardLocal, port("", 80), path("/tmp/a b.sock"))}},
		{"LocalForward \"/tmp/a b.sock\" [fe80::1%lo]:80", []tunnel.ForwardSpec{fwd(tunnel.ForwardLocal, path("/tmp/a b.sock"), port("fe80::1%lo", 80))}},
		{"LocalForward 1080 /tmp/a\nDynamicForward 1080", []tunnel.ForwardSpec{
			fwd(tunnel.ForwardLocal, port("", 1080), path("/tmp/a")), fwd(tunnel.ForwardSocks, port("", 1080), nowhere),
		}},
		{"RemoteForward 9000 localhost:9001", []tunnel.ForwardSpec{fwd(tunnel.ForwardRemote, port("", 9000), port("localhost", 9001))}},
		{"RemoteForward 9002", []tunnel.ForwardSpec{fwd(tunnel.ForwardRemote, port("", 9002), nowhere)}},
		{"RemoteForward *:9002", []tunnel.ForwardSpec{fwd(tunnel.ForwardRemote, port("*", 9002), nowhere)}},
		{"RemoteForward 0 localhost:1", []tunnel.ForwardSpec{fwd(tunnel.ForwardRemote, port("", 0), port("localhost", 1))}},
		{"RemoteForward [::]:9003 ~/a.sock", []tunnel.ForwardSpec{fwd(tunnel.ForwardRemote, port("::", 9003), path(me.home+"/a.sock"))}},
		{"RemoteForward /tmp/far.sock localhost:1", []tunnel.ForwardSpec{fwd(tunnel.ForwardRemote, path("/tmp/far.sock"), port("localhost", 1))}},
		{"DynamicForward [::1]:1082", []tunnel.ForwardSpec{fwd(tunnel.ForwardSocks, port("::1", 1082), nowhere)}},
		{"DynamicForward /tmp/socks", []tunnel.ForwardSpec{fwd(tunnel.ForwardSocks, path("/tmp/socks"), nowhere)}},
		{"LocalForward 1 a:1\nClearAllForwardings yes", nil},
	}
	for _, test := range tests {
		file := configFile(t, "Host *\n"+test.config+"\n")
		for kind, r := range map[string]*Resolver{"ssh": withSSH(t, file), "native": without(file)} {
			target, err := r.Resolve(t.Context(), "web1", nil)
			if err != nil {
				t.Errorf("%s: %q: %v", kind, test.config, err)
				continue
			}
			if got := target.Last().Forwards; !slices.Equal(got, test.want) {
				t.Errorf("%s: %q\ngot  %+v\nwant %+v", kind, test.config, got, test.want)
			}
			for _, w := range target.Last().Warnings {
				if strings.Contains(w, "understood") {
					t.Errorf("%s: %q: %s", kind, test.config, w)
				}
			}
		}
	}
}
