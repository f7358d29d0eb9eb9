package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// TestAuthHostKey: an unknown host key waits for a person, who sees the fingerprint; the answer is remembered where ssh has it.
func TestAuthHostKey(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	known := filepath.Join(s.sshd.Dir(), "new", "known_hosts")
	s.sshd.AddHost("stranger", "UserKnownHostsFile "+known, "StrictHostKeyChecking ask", "HashKnownHosts no")
	s.complains(t, complaint{4, api.CodeHostKey, []string{"unknown", "SHA256:", "brokerctl auth stranger"}}, "ps", "stranger")
	if got := linkState(t, s, "stranger"); got != "needs-auth" {
		t.Errorf("the link is %q, want needs-auth", got)
	}
	for _, answer := range []string{"no", "yes"} {
		screen, ended := asking(t, s, "auth", "stranger")
		screen.Await(t, "SHA256:")
		screen.Await(t, "(yes/no/fingerprint)")
		screen.Press(t, answer+"\r")
		stdout, code := ended()
		if (code == 0) != (answer == "yes") {
			t.Fatalf("%s: exit code %d, %q\nterminal %q", answer, code, stdout, screen.Text())
		}
		if _, err := os.Stat(known); (err == nil) != (answer == "yes") {
			t.Fatalf("%s: %v", answer, err)
		}
	}
	line, err := os.ReadFile(known)
	if want := fmt.Sprintf("[127.0.0.1]:%d ssh-ed25519 ", s.sshd.Port()); err != nil || !strings.HasPrefix(string(line), want) {
		t.Errorf("known_hosts says %q, %v", line, err)
	}
	s.OK("ps", "stranger")
}

// TestOverControlMaster: a host that only an ssh of the user's can reach is reached over it, through the daemon.
func TestOverControlMaster(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	path := filepath.Join(t.TempDir(), "cm")
	end := s.rideMaster(t, path)
	e := s.examine(t, "ridden")
	e.fails()
	e.has("control master", true, path)
	e.has("tcp forwarding", true)
	s.OK("ps", "ridden")
	end()
	s.complains(t, complaint{5, api.CodeUnreachable, []string{"ProxyCommand ended with exit status 1"}}, "ps", "ridden")
}
