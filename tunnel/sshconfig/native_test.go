package sshconfig

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/debugbroker/debugbroker/integration/tools"
	"github.com/debugbroker/debugbroker/tunnel"
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

// What both readers can read, they read alike.
func TestNativeAgainstSSH(t *testing.T) {
	tools.Need(t, tools.SSH)
	rapid.Check(t, func(r *rapid.T) {
		var text strings.Builder
		line := rapid.SampledFrom([]string{
			"HostName %h.example", "HostName other", "User bob", "User ann", "Port 2222", "Port=33", "IdentityFile ~/.ssh/k1", "IdentityFile \"/a b/k2\"",
			"IdentitiesOnly yes", "IdentityAgent none", "IdentityAgent ~/sock", "HostKeyAlias x", "UserKnownHostsFile /k ~/l", "ConnectTimeout 5",
			"ServerAliveInterval 9", "ServerAliveCountMax 4", "AddressFamily inet", "ProxyJump none", "ProxyJump jo@gate:24", "ForwardAgent yes",
		})
		head := rapid.SampledFrom([]string{"Host web1", "Host web*", "Host *", "Host other web1", "Host * !web1", "Host\tweb1", "Host nobody", "Match all"})
		for range rapid.IntRange(0, 4).Draw(r, "blocks") {
			fmt.Fprintln(&text, head.Draw(r, "head"))
			for range rapid.IntRange(0, 4).Draw(r, "lines") {
				fmt.Fprintln(&text, "  "+line.Draw(r, "line"))
			}
		}
		file := configFile(t, text.String())
		want, err := withSSH(t, file).Resolve(t.Context(), "web1", nil)
		if err != nil {
			r.Skip(err) // a circle
		}
		got, err := without(file).Resolve(t.Context(), "web1", nil)
		if err != nil {
			r.Fatalf("%s\nnative: %v", text.String(), err)
		}
		if a, b := comparable(got), comparable(want); !reflect.DeepEqual(a, b) {
			r.Fatalf("%s\nnative %+v\nssh    %+v", text.String(), a, b)
		}
	})
}

// comparable drops what differs between versions of ssh: the default identities.
func comparable(target tunnel.Target) []tunnel.Hop {
	hops := target.Hops()
	for i := range hops {
		hops[i].IdentityFiles = slices.DeleteFunc(hops[i].IdentityFiles, func(f string) bool {
			return strings.Contains(f, "/.ssh/id_")
		})
	}
	return hops
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
