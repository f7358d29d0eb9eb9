package sshconfig

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/debugbroker/debugbroker/integration/tools"
	"github.com/debugbroker/debugbroker/tunnel"
)

// apartVariable says, in the environment, that this process is the one in namespaces of its own.
const apartVariable = "DEBUGBROKER_TEST_APART"

// TestCanonicalizeAsSSH holds what becomes of names against ssh, with a name server of the test's own. It is this test's alone: the test runs
// once more in a network without a way out, where the files that say whom to ask are its own, too.
func TestCanonicalizeAsSSH(t *testing.T) {
	ssh := tools.Need(t, tools.SSH)
	if os.Getenv(apartVariable) != "" {
		canonicalizeAsSSH(t, ssh)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("namespaces need root")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCanonicalizeAsSSH$", "-test.v")
	cmd.Env = append(os.Environ(), apartVariable+"=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestCanonicalizeAsSSH") {
		t.Errorf("%v\n%s", err, out)
	}
}

func canonicalizeAsSSH(t *testing.T, ssh string) {
	nameServer := apart(t)
	pair := newPair(t, ssh)
	for name, c := range canonicalCases(t) {
		t.Run(name, func(t *testing.T) {
			nameServer(t, c.zone)
			for _, host := range append(c.ask, c.fails...) {
				d, err := parseDestination(host)
				if err != nil {
					t.Fatal(err)
				}
				theirs, err := pair.ssh(t.Context(), c.config, d)
				n := pair.reader(d, true)
				found, ours := n.evaluate(t.Context(), sources{file: c.config, home: pair.resolver.user.home})
				if err != nil || ours != nil {
					if failing := strings.Contains(strings.Join(c.fails, " "), host); err == nil || ours == nil || !failing {
						t.Errorf("%s: ssh says %v, and the reader without it %v", host, err, ours)
					}
					continue
				}
				native := pair.read(t, found.values, d)
				diffReadings(t, host, native, theirs)
				if way := brief(tunnel.NewTarget([]tunnel.Hop{theirs.hop})); c.want[host] != "" && c.want[host] != way {
					t.Errorf("%s: ssh makes %s of it, want %s", host, way, c.want[host])
				}
			}
		})
	}
}

// apart sets up the namespaces that this process is alone in: loopback, and files that send every question there. What it returns answers
// from a zone until the test ends.
func apart(t *testing.T) func(*testing.T, zone) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		"/etc/resolv.conf":   "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n",
		"/etc/hosts":         "127.0.0.1 localhost\n",
		"/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
	} {
		file := filepath.Join(t.TempDir(), "file")
		writeFile(t, file, text)
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(file, path, "", unix.MS_BIND, ""); err != nil {
			t.Fatalf("mount over %s: %v", path, err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return func(t *testing.T, z zone) {
		t.Helper()
		conn, err := net.ListenPacket("udp", "127.0.0.1:53")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			question := make([]byte, 1500)
			for {
				size, from, err := conn.ReadFrom(question)
				if err != nil {
					return
				}
				if answer, err := z.answer(question[:size]); err == nil {
					_, _ = conn.WriteTo(answer, from)
				}
			}
		}()
		t.Cleanup(func() { conn.Close(); <-done })
	}
}

// answer is the zone's answer to a question (RFC 1035, 4).
func (z zone) answer(question []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil || len(m.Questions) != 1 {
		return nil, fmt.Errorf("no question: %w", err)
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.RecursionAvailable = true, true, true
	m.Additionals = nil
	names, kind, value := z.find(q.Name.String())
	for i, name := range names {
		owner, err := dnsmessage.NewName(name + ".")
		if err != nil {
			return nil, err
		}
		header := dnsmessage.ResourceHeader{Name: owner, Class: dnsmessage.ClassINET, TTL: 60}
		if i+1 < len(names) {
			next, err := dnsmessage.NewName(names[i+1] + ".")
			if err != nil {
				return nil, err
			}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.CNAMEResource{CNAME: next}})
			continue
		}
		switch {
		case kind == "":
			m.RCode = dnsmessage.RCodeNameError
		case kind == "A" && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: netip.MustParseAddr(value).As4()}})
		case kind == "AAAA" && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(value).As16()}})
		}
	}
	return m.Pack()
}

// TestSystemNames: this machine's name service knows what its files say.
func TestSystemNames(t *testing.T) {
	if got, err := (systemNames{}).lookup(t.Context(), "ip", "localhost", false); err != nil || got != "localhost" {
		t.Errorf("%q, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := (systemNames{}).lookup(ctx, "ip", "nosuchhost.invalid.", true); err == nil {
		t.Errorf("%q", got)
	}
}
