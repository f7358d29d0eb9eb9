package integration_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
)

// swordfish is that password as crypt(3) with SHA-512 makes it.
const swordfish = "$6$debugbroker$fyETPhatMQDeLm/9CHbSMIWQ6fTn.M15gdE0Rs8CbJdguxqAQol5U.3Bn3aky1nxYduASnu9vXP08x85t/OU7."

// failures are the logins that the host's sshd has refused for what somebody said.
func (h house) failures() int {
	return len(regexp.MustCompile(`(?m)^Failed (password|keyboard-interactive/pam) for `).FindAllString(h.sshd.Log(), -1))
}

// TestForwardPassword: a host whose sshd takes the account's password alone. It is asked for where there is a terminal, and nowhere else; once the link
// is lost the forward waits for a person, and the host hears of no further try.
func TestForwardPassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{secret: swordfish, lines: []string{"PasswordAuthentication yes", "AuthenticationMethods password"}})
	target := "127.0.0.1:" + tcpPort(upper(t, "tcp", "127.0.0.1:0"))
	forward := []string{"forward", "box", "-L", "0:" + target, "--name", "pg"}

	h.complains(t, complaint{4, api.CodeAuth, []string{"asks for a password", "brokerctl auth box"}}, forward...)
	if list := h.forwards(t); len(list) > 0 {
		t.Errorf("kept though nobody was let in: %+v", list)
	}
	screen, ended := asking(t, h.station, forward...)
	screen.Await(t, "box: password of ada@127.0.0.1:")
	screen.Press(t, "guess-1\r")
	screen.AwaitTimes(t, "box: password of ada@127.0.0.1:", 2)
	screen.Press(t, "swordfish\r")
	if stdout, code := ended(); code != 0 || !strings.HasPrefix(stdout, "pg  127.0.0.1:") {
		t.Fatalf("exit code %d, %q\nterminal %q", code, stdout, screen.Text())
	}
	f := h.awaitUp(t, "pg")
	works(t, f.Listen)
	if n := h.failures(); n != 1 {
		t.Errorf("the host counts %d failures, and there was one guess", n)
	}

	h.sshd.KillConnections()
	f = h.awaitForward(t, "pg", "in want of a person", func(f api.Forward) bool {
		return f.State == api.ForwardWaiting && f.Error != nil && f.Error.Code == api.CodeAuth
	})
	if !strings.Contains(f.Error.Hint, "brokerctl auth box") {
		t.Errorf("%+v", f.Error)
	}
	if r := h.OK("hosts"); !strings.Contains(r.Stdout, "needs-auth") || !strings.Contains(r.Stdout, "asks for a password") {
		t.Errorf("hosts says\n%s", r.Stdout)
	}
	second, ended := asking(t, h.station, "auth", "box")
	second.Await(t, "box: password of ada@127.0.0.1:")
	second.Press(t, "swordfish\r")
	if stdout, code := ended(); code != 0 || stdout != "authenticated to box as ada by password\n" {
		t.Fatalf("exit code %d, %q\nterminal %q", code, stdout, second.Text())
	}
	if again := h.awaitUp(t, "pg"); again.Listen != f.Listen {
		t.Errorf("listens on %s, and did on %s", again.Listen, f.Listen)
	}
	works(t, f.Listen)
	if n := h.failures(); n != 1 {
		t.Errorf("the host counts %d failures, and there was one guess", n)
	}
	unsaid(t, h.station, []string{"swordfish", "guess-1"}, screen.Text(), second.Text())
}

// TestAuthPAM: an sshd that wants a password first, and then what PAM asks.
func TestAuthPAM(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{
		secret: swordfish, pam: "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n",
		lines: []string{"UsePAM yes", "PasswordAuthentication yes", "KbdInteractiveAuthentication yes", "AuthenticationMethods password,keyboard-interactive"},
	})
	h.complains(t, complaint{4, api.CodeAuth, []string{"brokerctl auth box"}}, "auth", "box")
	screen, ended := asking(t, h.station, "auth", "box")
	screen.Await(t, "box: password of ada@127.0.0.1:")
	screen.Press(t, "swordfish\r")
	screen.Await(t, "box: Password:")
	screen.Press(t, "guess-2\r")
	screen.AwaitTimes(t, "box: Password:", 2)
	screen.Press(t, "swordfish\r")
	if stdout, code := ended(); code != 0 || stdout != "authenticated to box as ada by password and keyboard-interactive\n" {
		t.Fatalf("exit code %d, %q\nterminal %q", code, stdout, screen.Text())
	}
	f := h.forward(t, "box", "-L", "0:127.0.0.1:"+tcpPort(upper(t, "tcp", "127.0.0.1:0")))[0]
	works(t, h.awaitUp(t, f.Name).Listen)
	unsaid(t, h.station, []string{"swordfish", "guess-2"}, screen.Text())
}
