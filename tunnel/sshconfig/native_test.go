package sshconfig

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/debugbroker/debugbroker/integration/tools"
)

func TestHosts(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "more"), "Host inc1 inc2\nMatch final all\n User x\nHost inc3\n")
	file := configFile(t, strings.Join([]string{
		"Include \"" + filepath.Join(dir, "mo*") + "\"",
		"Host web1 web2 *.example !web3",
		"Host\ttabbed",
		"Host \"quoted\" # with a comment",
		"Match host foo exec \"false\"",
		" HostName nowhere",
		"Host web1",
		"Host=equals",
		"Include /no/such/file",
		"NoSuchOption ???",
		"Host -oProxyCommand=x $(evil)",
		"Host last",
		"Port",
	}, "\n"))
	got, err := withSSH(t, file).Hosts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"inc1", "inc2", "inc3", "web1", "web2", "tabbed", "quoted", "equals", "last"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if _, err := without(filepath.Join(dir, "nosuch")).Hosts(t.Context()); err == nil {
		t.Error("a file that is named and missing is no error")
	}
}

func TestIncludeCircle(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	writeFile(t, file, "Include "+file+"\nHost web1\n")
	if got, err := without(file).Hosts(t.Context()); err != nil || !slices.Equal(got, []string{"web1"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

// One line that ssh would not take costs that line and no other, and is told.
func TestNativeSaysWhatItLeavesOut(t *testing.T) {
	file := configFile(t, strings.Join([]string{
		"Host web1", "Port zero", "NoSuchOption yes", "User bob", "ProxyCommand it's", "Match nosuch x", " Port 1", "Match host", " Port 2", "Match all", "Port 3",
		"Include \"" + t.TempDir() + "\"",
	}, "\n"))
	target, err := without(file).Resolve(t.Context(), "web1", nil)
	if err != nil {
		t.Fatal(err)
	}
	hop := target.Last()
	if hop.Port != 3 || hop.User != "bob" || hop.ProxyCommand != "" {
		t.Errorf("hop = %+v", hop)
	}
	for i, want := range []string{"line 2", "line 3", "line 5", "line 6", "line 8", "not a regular file"} {
		if i >= len(hop.Warnings) || !strings.Contains(hop.Warnings[i], want) {
			t.Errorf("%q is not among %q", want, hop.Warnings)
		}
	}
	if len(hop.Warnings) != 6 {
		t.Errorf("warnings = %q", hop.Warnings)
	}
}

// What both readers can read, they read alike, in whatever order and below whatever conditions it stands.
func TestNativeAgainstSSH(t *testing.T) {
	pair := newPair(t, tools.Need(t, tools.SSH))
	if os.Getenv("CI") != "" { // a change is judged by its own faults; new configurations are looked for elsewhere, and by the fuzz target
		if err := flag.Set("rapid.seed", "1"); err != nil {
			t.Fatal(err)
		}
	}
	line := rapid.SampledFrom([]string{
		"HostName %h.example", "HostName other", "HostName WEB2", "HostName 127.1", "User bob", "User ann", "Port 2222", "Port=33", "IdentityFile ~/.ssh/k1",
		"IdentityFile \"/a b/k2\"", "IdentityFile ${KEYS}/%r", "IdentitiesOnly yes", "IdentitiesOnly no", "IdentityAgent none", "IdentityAgent ~/%n.sock",
		"IdentityAgent $FOO", "HostKeyAlias X%h", "UserKnownHostsFile /k ~/l", "UserKnownHostsFile none", "GlobalKnownHostsFile /g \"/h i\"", "ConnectTimeout 5",
		"ConnectTimeout 1m30", "ServerAliveInterval 9", "ServerAliveCountMax 4", "AddressFamily inet", "AddressFamily any", "ProxyJump none", "ProxyJump jo@gate:24",
		"ProxyJump a,b", "ProxyCommand none", "ProxyCommand nc %h %p '#' # x", "ProxyCommand = x=y", "ForwardAgent yes", "ForwardAgent no", "CertificateFile ~/c%%",
		"PreferredAuthentications password", "PubkeyAuthentication unbound", "PubkeyAuthentication no", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"BatchMode yes", "NumberOfPasswordPrompts 1", "AddKeysToAgent confirm 5m", "AddKeysToAgent 1h", "AddKeysToAgent ask", "StrictHostKeyChecking off",
		"StrictHostKeyChecking accept-new", "HashKnownHosts yes", "KnownHostsCommand /bin/kh %H %u", "RevokedHostKeys ~/r", "HostKeyAlgorithms ^ssh-ed25519",
		"HostKeyAlgorithms -ssh-*", "CASignatureAlgorithms ssh-ed25519", "KexAlgorithms -diffie*,ecdh*", "Ciphers +aes128-cbc", "HostKeyAlgorithms rsa-sha2-512", "MACs ^hmac-sha2-256",
		"PubkeyAcceptedAlgorithms +ssh-rsa", "RekeyLimit 1G 1h", "RekeyLimit default", "ControlPath /c/%r@%h:%p", "ControlPath none", "LocalForward 8080 a:80",
		"LocalForward [::1]:1 /s%h", "LocalForward /t /u", "RemoteForward 9", "RemoteForward /f b:1", "DynamicForward *:1080", "DynamicForward 8080",
		"ClearAllForwardings yes", "ExitOnForwardFailure yes", "GatewayPorts yes", "StreamLocalBindMask 077", "StreamLocalBindUnlink yes", "SetEnv A=b \"C=d e\"",
		"SetEnv X=y", "SendEnv L* FOO", "SendEnv -L*", "Compression yes", "RemoteCommand top", "VerifyHostKeyDNS ask", "BindAddress ::1", "BindInterface lo",
		"IgnoreUnknown Zz*", "", "# Port 1",
	})
	head := rapid.SampledFrom([]string{
		"Host web1", "Host web*", "Host *", "Host other web1", "Host * !web1", "Host\tweb1", "Host nobody", "Host web? !*2", "Host \"web1\"", "Host=web1.example",
		"Match all", "Match !all", "Match host web1", "Match host web1.example", "Match originalhost web1 user bob", "Match !user bob", "Match user bob,!ann",
		"Match localuser *", "Match final all", "Match final host *.example", "Match canonical", "Match !canonical all", "Match host=web1 user=ann",
		"Match exec true", "Match !exec \"test %r = bob\"", "Match originalhost nobody exec false", "Match exec \"test %h = web1 -a %p = 22\"",
	})
	name := rapid.SampledFrom([]string{"web1", "ann@web1", "ssh://web1:44", "web1.example"})
	rapid.Check(t, func(r *rapid.T) {
		var text strings.Builder
		for range rapid.IntRange(0, 6).Draw(r, "blocks") {
			fmt.Fprintln(&text, head.Draw(r, "head"))
			for range rapid.IntRange(0, 6).Draw(r, "lines") {
				fmt.Fprintln(&text, "  "+line.Draw(r, "line"))
			}
		}
		file := configFile(t, text.String())
		asked := name.Draw(r, "name")
		d, err := parseDestination(asked)
		if err != nil {
			r.Fatalf("%v", err)
		}
		theirs, err := pair.ssh(t.Context(), file, d)
		if err != nil {
			r.Fatalf("%s\nssh: %v", text.String(), err)
		}
		native, notes := pair.native(r, file, d, true)
		if len(notes) > 0 {
			r.Errorf("%s\nnative: %q", text.String(), notes)
		}
		diffReadings(r, asked, native, theirs)
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"web1", "u@[::1]", "ssh://a@b:1", "a@b@c", "[::1]:22", "-x", "Host \"a", "Match exec 'x", "[]:", "@:", ":1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, parse := range map[string]func(string) (destination, error){"destination": parseDestination, "hop": parseHop} {
			d, err := parse(text)
			if err == nil && (d.host == "" || strings.HasPrefix(d.host, "-") || strings.HasPrefix(d.user, "-") || strings.ContainsAny(d.host, " ;$`\n\x00")) {
				t.Errorf("%s %q: %+v", name, text, d)
			}
		}
		parseLine(text)
		seconds(text)
	})
}
