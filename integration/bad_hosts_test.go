package integration_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/answering"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// TestHostsThatCannotBeReached: each is told apart, in bounded time, and nothing is left here or there.
func TestHostsThatCannotBeReached(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	d := s.sshd
	changed := filepath.Join(d.Dir(), "changed")
	d.WriteKey("other_host_key", "")
	other, err := os.ReadFile(filepath.Join(d.Dir(), "other_host_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("# a comment\n[127.0.0.1]:%d %s", d.Port(), other)
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.AddHost("refused", fmt.Sprintf("Port %d", closedPort(t)))
	d.AddHost("full", fmt.Sprintf("Port %d", fullPort(t)), "ConnectTimeout 1")
	d.AddHost("mute", fmt.Sprintf("Port %d", speaks(t, "")), "ConnectTimeout 1")
	d.AddHost("halting", fmt.Sprintf("Port %d", speaks(t, "SSH-2.0-OpenSSH_9.2\r\n")), "ConnectTimeout 1")
	d.AddHost("web", fmt.Sprintf("Port %d", speaks(t, "HTTP/1.1 400 Bad Request\r\n\r\n")), "ConnectTimeout 1")
	d.AddHost("rude", fmt.Sprintf("Port %d", speaks(t, strings.Repeat("\x1b[2J\x07no\r\n", 9))), "ConnectTimeout 1")
	d.AddHost("unknownkey", "UserKnownHostsFile /dev/null")
	d.AddHost("changedkey", "UserKnownHostsFile "+changed)
	d.AddHost("nokey", "IdentityFile "+d.WriteKey("stranger", ""))
	d.AddHost("lockedkey", "IdentityFile "+authorized(t, d, d.WriteKey("locked", "secret")))
	d.AddHost("missingkey", "IdentityFile /nonexistent/key")
	d.AddHost("viacommand", "ProxyCommand nc %h %p")

	tests := []struct {
		host string
		want complaint
	}{
		{"nosuchhost.invalid", complaint{5, api.CodeUnresolvable, []string{"nosuchhost.invalid"}}},
		{"refused", complaint{5, api.CodeUnreachable, []string{"refused"}}},
		{"full", complaint{5, api.CodeUnreachable, []string{"no answer in time", "firewall"}}},
		{"mute", complaint{5, api.CodeUnreachable, []string{"no answer within 1s", "no SSH server"}}},
		{"halting", complaint{5, api.CodeUnreachable, []string{"no answer within 1s", "no SSH server"}}},
		{"web", complaint{5, api.CodeUnreachable, []string{"no answer within 1s", "no SSH server"}}},
		{"rude", complaint{5, api.CodeUnreachable, []string{"no answer within 1s", "no SSH server"}}},
		{"unknownkey", complaint{4, api.CodeHostKey, []string{"unknown", "SHA256:", "ssh"}}},
		{"changedkey", complaint{4, api.CodeHostKey, []string{"changed", changed + ":2", "SHA256:"}}},
		{"nokey", complaint{4, api.CodeAuth, []string{"stranger"}}},
		{"lockedkey", complaint{4, api.CodeAuth, []string{"locked", "ssh-add"}}},
		{"missingkey", complaint{4, api.CodeAuth, []string{"key"}}},
		{"viacommand", complaint{5, api.CodeUnreachable, []string{"ProxyCommand"}}},
	}
	for _, tt := range tests {
		t.Run(tt.host, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			begin := time.Now()
			s.complains(t, tt.want, "open", tt.host+":python", "--", "app.py")
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("two tries took %s", took)
			}
		})
	}
	t.Cleanup(func() {
		for _, v := range sessions(t, s, true) {
			if v.Phase != api.PhaseFailed || v.Error == nil {
				t.Errorf("session %s on %s: phase %s, error %v", v.ID, v.Host, v.Phase, v.Error)
			}
		}
	})
	s.clean(t)
}

// TestHostNames: what ssh would take for an option, or a shell for more than a name, is refused before anything is asked.
func TestHostNames(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	marker := filepath.Join(s.Dir(), "ran")
	s.OK("list") // starts the daemon
	for _, host := range []string{
		"-oProxyCommand=touch " + marker, "-oProxyCommand=x", "-F/dev/null", "a b", "a;touch " + marker, "a\nb", "$(touch " + marker + ")",
		"`id`", "a|b", "user@-oProxyCommand=x", "-l@box", "bo\x1b[31mx", strings.Repeat("a", 4000), "[::1", "a'b",
	} {
		t.Run(fmt.Sprintf("%.20q", host), func(t *testing.T) {
			s := s.in(t)
			s.complains(t, complaint{2, api.CodeUsage, nil}, "open", host+":python", "--", "app.py")
			// The daemon does not rely on brokerctl.
			client := api.NewClient(s.Socket())
			defer client.Close()
			_, err := client.Open(t.Context(), api.OpenRequest{Host: host, Lang: "python", Program: []string{"app.py"}}, func(api.OpenEvent) {})
			var e *api.Error
			if !errors.As(err, &e) || e.Code != api.CodeUsage {
				t.Errorf("the daemon says %v", err)
			}
		})
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a host name was run as a command")
	}
}

// closedPort is a port that nobody listens on.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// fullPort is a port whose queue of connections is full, so that the system answers nobody.
func fullPort(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := name.(*unix.SockaddrInet4).Port
	for range 2 { // a backlog of 0 holds one, and a second may slip in
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 500*time.Millisecond)
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
	}
	return port
}

// speaks is a port where each connection is told a text, and then nothing more.
func speaks(t *testing.T, text string) int {
	t.Helper()
	return answering.Local(t, func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		_, _ = io.Copy(io.Discard, c)
	}).Port()
}

// authorized lets a key in.
func authorized(t *testing.T, d *sshd.Server, key string) string {
	t.Helper()
	pub, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(d.Dir(), "authorized_keys"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(pub); err != nil {
		t.Fatal(err)
	}
	return key
}
