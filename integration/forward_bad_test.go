package integration_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/answering"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// TestForwardsThatAreNotKept: each is told apart, and nothing of it is left.
func TestForwardsThatAreNotKept(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.sshd.AddHost("nokey", "IdentityFile "+s.sshd.WriteKey("stranger", ""))
	s.sshd.AddHost("unknownkey", "UserKnownHostsFile /dev/null")
	s.sshd.AddHost("strict", "ExitOnForwardFailure yes")
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	taken, free := tcpPort(busy.Addr()), strconv.Itoa(freeport.On127(t))
	us := fmt.Sprintf("process %d (", os.Getpid())
	tests := []struct {
		name string
		want complaint
		args []string
	}{
		{"busy", complaint{1, api.CodePortBusy, []string{taken, us}}, []string{"box", "-L", taken + ":localhost:1"}},
		{"busy socks", complaint{1, api.CodePortBusy, []string{taken, us}}, []string{"box", "-D", taken}},
		{"busy there", complaint{5, api.CodeForwarding, []string{taken}}, []string{"box", "-R", "127.0.0.1:" + taken + ":localhost:1"}},
		{"no address of ours", complaint{1, api.CodePortBusy, []string{"192.0.2.1"}}, []string{"box", "-L", "192.0.2.1:0:localhost:1"}},
		{"no directory", complaint{1, api.CodePortBusy, []string{"/nonexistent/s"}}, []string{"box", "-L", "/nonexistent/s:localhost:1"}},
		{"one of two, all or nothing", complaint{1, api.CodePortBusy, []string{taken}}, []string{"strict", "-L", free + ":localhost:1", "-L", taken + ":localhost:1"}},
		{"key refused", complaint{4, api.CodeAuth, []string{"stranger"}}, []string{"nokey", "-L", free + ":localhost:1"}},
		{"key unknown", complaint{4, api.CodeHostKey, []string{"unknown"}}, []string{"unknownkey", "-L", free + ":localhost:1", "-R", "0:localhost:1"}},
		{"to itself", complaint{1, api.CodeForwardLoop, []string{free}}, []string{"box", "-L", free + ":localhost:" + free}},
		{"no such kind of text", complaint{2, api.CodeUsage, []string{"5432:db", "      ^"}}, []string{"box", "-L", "5432:db"}},
		{"port too high", complaint{2, api.CodeUsage, []string{"65536"}}, []string{"box", "-D", "65536"}},
		{"relative", complaint{2, api.CodeUsage, []string{"begins with /"}}, []string{"box", "-L", "a/b:localhost:1"}},
		{"escape sequence", complaint{2, api.CodeUsage, nil}, []string{"box", "-L", "1:\x1b[31m:1"}},
		{"no host", complaint{2, api.CodeUsage, nil}, []string{"box;id", "-L", "1:a:1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.complains(t, tt.want, append([]string{"forward"}, tt.args...)...)
			if left := s.forwards(t); len(left) > 0 {
				t.Errorf("kept: %+v", left)
			}
		})
	}
	// One of two where the configuration says nothing: the other is kept.
	r := s.Run("forward", "box", "-L", free+":localhost:1", "-L", taken+":localhost:1")
	if r.Code != 1 || !strings.HasPrefix(r.Stdout, "box-"+free+" ") || !strings.Contains(r.Stderr, us) {
		t.Errorf("%+v", r)
	}
	// A forward of ours has the port: it is named.
	s.complains(t, complaint{1, api.CodePortBusy, []string{"box-" + free, "unforward"}}, "forward", "box", "-L", free+":localhost:2")
	s.OK("unforward", "--all")
	if _, err := ask("127.0.0.1:"+free, ""); err == nil {
		t.Error("somebody listens")
	}
}

// TestForwardHostAway: it is kept, a connection waits for the host, and works.
func TestForwardHostAway(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	target := tcpPort(upper(t, "tcp", "127.0.0.1:0"))
	s.sshd.Stop()
	f := s.forward(t, "box", "-L", "0:localhost:"+target)[0]
	if f.State != api.ForwardWaiting || f.Error == nil || f.Error.Code != api.CodeUnreachable {
		t.Errorf("%+v", f)
	}
	c, err := net.Dial("tcp", f.Listen) // before there is anything at the other end
	if err != nil {
		t.Fatal(err)
	}
	s.sshd.Start()
	if got, err := says(c, "hello"); got != "<hello>" {
		t.Errorf("%q, %v", got, err)
	}
	s.awaitUp(t, f.Name)
	s.sshd.Stop()
	s.awaitForward(t, f.Name, "waiting", func(f api.Forward) bool { return f.State == api.ForwardWaiting && f.Error != nil })
	hosts := brokertest.JSON[[]api.Host](s.Broker, "hosts")
	if l := hosts[0].Link; l == nil || l.State != "waiting" && l.State != "connecting" || l.State == "waiting" && l.Error == nil {
		t.Errorf("%+v", l)
	}
	s.awaitForward(t, f.Name, "refused", func(f api.Forward) bool { return f.Error != nil && strings.Contains(f.Error.Message, "refused") })
	if r := s.OK("hosts"); !strings.Contains(r.Stdout, " ERROR\n") || !strings.Contains(r.Stdout, "refused") && !strings.Contains(r.Stdout, "connecting") {
		t.Errorf("hosts says %s", r.Stdout)
	}
	s.sshd.Start()
	works(t, f.Listen)
	var kinds []string
	for _, e := range brokertest.Lines[api.Event](s.Broker, "events") {
		if strings.HasPrefix(e.Kind, "forward-") && strings.Contains(e.Text, f.Name) {
			kinds = append(kinds, e.Kind)
		}
	}
	if got := strings.Join(kinds, " "); !strings.HasPrefix(got, "forward-waiting forward-up forward-waiting") {
		t.Errorf("events: %s", got)
	}
	// A name that nobody knows is one that a laptop without a network does not know.
	if f := s.forward(t, "nosuchhost.invalid", "-L", "0:localhost:1")[0]; f.State != api.ForwardWaiting {
		t.Errorf("%+v", f)
	}
}

// TestForwardSameUser: others of this machine are refused, ourselves not.
func TestForwardSameUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	s := newStation(t, sshd.Options{}, "")
	target := tcpPort(answering.Local(t, func(c net.Conn) { _, _ = io.WriteString(c, "welcome") }).Addr())
	list := s.forward(t, "box", "-L", "0:localhost:"+target, "--same-user", "--name", "ours")
	list = append(list, s.forward(t, "box", "-L", "0:localhost:"+target, "--name", "open")...)
	list = append(list, s.forward(t, "box", "-D", "0", "--same-user", "--name", "proxy")...)
	for _, f := range list[:2] {
		if got, _ := ask(f.Listen, ""); got != "welcome" {
			t.Errorf("we get %q from %s", got, f.Name)
		}
	}
	for _, f := range list {
		got := askAsNobody(t, f.Listen)
		if want := map[string]string{"open": "welcome"}[f.Name]; got != want {
			t.Errorf("nobody gets %q from %s", got, f.Name)
		}
	}
	s.awaitForward(t, "ours", "refusing", func(f api.Forward) bool { return f.Error != nil })
	s.OK("stop")
	s.forwards(t)
	s.awaitUp(t, "ours")
	if got := askAsNobody(t, list[0].Listen); got != "" {
		t.Errorf("after a restart nobody gets %q", got)
	}
	s.complains(t, complaint{2, api.CodeUsage, []string{"same-user"}}, "forward", "box", "-R", "0:localhost:1", "--same-user")
}

// askAsNobody has another user connect to an address, and returns what comes.
func askAsNobody(t *testing.T, address string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	host, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(ctx, "bash", "-c", "exec 3<>/dev/tcp/$0/$1 || exit 9\nprintf '\\5\\1\\0' >&3\ncat <&3", host, port)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.Output() // a reset, or the end of file
	if ee := new(exec.ExitError); err != nil && (!errors.As(err, &ee) || ee.ExitCode() == 9 || ctx.Err() != nil) {
		t.Fatalf("connect as nobody: %v", err)
	}
	return string(out)
}

// TestForwardConfigWithMistakes: the text of a forward is told with its line.
func TestForwardConfigWithMistakes(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "[[forward]]\nhost = \"box\"\nlocal = \"5432:db\"\n\n[[forward]]\nhost = \"box\"\nsocks = \"99999\"\n")
	name := s.ConfigFile()
	s.complains(t, complaint{2, api.CodeConfig, []string{name + ":1: forward.local", name + ":5: forward.socks", "65535"}}, "list")
}
