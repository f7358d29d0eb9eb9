package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/pty"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/sshserver"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// asking runs a brokerctl at a terminal. ended waits for it and returns its standard output and exit status.
func asking(t *testing.T, s station, args ...string) (screen *pty.Screen, ended func() (string, int)) {
	t.Helper()
	tty, screen := pty.New(t)
	var stdout strings.Builder
	cmd := s.Command(context.Background(), args...)
	cmd.Stdout = &stdout
	pty.At(t, tty, cmd)
	return screen, func() (string, int) {
		t.Helper()
		if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return stdout.String(), cmd.ProcessState.ExitCode()
	}
}

// serveSSH adds a host to the station whose server is one in process.
func serveSSH(t *testing.T, s station, alias string, config sshserver.Config) {
	t.Helper()
	server, err := sshserver.Listen(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	known := filepath.Join(s.sshd.Dir(), alias+"_known")
	line := knownhosts.Line([]string{knownhosts.Normalize(server.Addr().String())}, server.HostKey())
	if err := os.WriteFile(known, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.sshd.AddHost(alias, fmt.Sprintf("Port %d", server.Addr().Port), "User deploy", "UserKnownHostsFile "+known, "IdentityFile "+s.sshd.IdentityFile())
}

// unsaid demands that nothing that was typed stands in the broker's files, or was shown.
func unsaid(t *testing.T, s station, secrets []string, shown ...string) {
	t.Helper()
	err := filepath.WalkDir(s.StateDir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		shown = append(shown, string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		for _, text := range shown {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in %.2000q", secret, text)
			}
		}
	}
}

// linkState is the state of a host's link as `hosts` shows it.
func linkState(t *testing.T, s station, host string) string {
	t.Helper()
	var list []api.Host
	if err := json.Unmarshal([]byte(s.OK("hosts", "--json").Stdout), &list); err != nil {
		t.Fatal(err)
	}
	for _, h := range list {
		if h.Name == host && h.Link != nil {
			return h.Link.State
		}
	}
	return ""
}

// TestOpenAsks: an open at a terminal asks the passphrase of a key, and works then; the next one on the link asks nothing.
func TestOpenAsks(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "log_level = \"debug\"\n")
	key := authorized(t, s.sshd, s.sshd.WriteKey("locked", "open-sesame"))
	s.sshd.AddHost("lockedkey", "IdentityFile "+key)
	s.clean(t)
	const program = "import time; time.sleep(600)"
	script := filepath.Join(s.sshd.Dir(), "sleeper.py")
	if err := os.WriteFile(script, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	open := []string{"open", "lockedkey:python", "--", script}

	s.complains(t, complaint{4, api.CodeAuth, []string{key, "brokerctl auth lockedkey"}}, open...)
	if got := linkState(t, s, "lockedkey"); got != "needs-auth" {
		t.Errorf("the link is %q, want needs-auth", got)
	}
	screen, ended := asking(t, s, open...)
	screen.Await(t, "lockedkey: passphrase of the key ")
	screen.Press(t, "wrong-word\r")
	screen.Await(t, "lockedkey: this passphrase does not fit")
	screen.Press(t, "open-sesame\r")
	stdout, code := ended()
	if code != 0 || !strings.Contains(stdout, "lockedkey:python is ready") {
		t.Fatalf("exit code %d\n%s\nterminal %q", code, stdout, screen.Text())
	}
	if got := linkState(t, s, "lockedkey"); got != "up" {
		t.Errorf("the link is %q, want up", got)
	}
	s.Close(s.Open(open[1:]...).ID)
	s.OK("close", "--all")
	unsaid(t, s, []string{"open-sesame", "wrong-word"}, screen.Text())
	if n := strings.Count(s.OK("events").Stdout, "needs-auth"); n != 1 {
		t.Errorf("%d events tell of needs-auth, want 1:\n%s", n, s.OK("events").Stdout)
	}
}

// TestAuth: what a host asks is answered by brokerctl auth, and the link that it brings up serves what comes next.
func TestAuth(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "log_level = \"debug\"\n")
	s.clean(t)
	serveSSH(t, s, "pw", sshserver.Config{Password: func(p string) bool { return p == "swordfish" }})
	serveSSH(t, s, "otp", sshserver.Config{Keyboard: func(ask ssh.KeyboardInteractiveChallenge) bool {
		answers, err := ask("\x1b[2JDuo", "", []string{"\x07User: ", "Passcode or option (1-2): "}, []bool{true, false})
		return err == nil && answers[0] == "deploy" && answers[1] == "424242"
	}})

	s.complains(t, complaint{4, api.CodeAuth, []string{"asks for a password", "brokerctl auth pw"}}, "auth", "pw")
	s.complains(t, complaint{4, api.CodeAuth, []string{"brokerctl auth pw"}}, "ps", "pw")
	if got := linkState(t, s, "pw"); got != "needs-auth" {
		t.Errorf("the link is %q, want needs-auth", got)
	}
	screen, ended := asking(t, s, "auth", "pw")
	screen.Await(t, "pw: password of deploy@127.0.0.1:")
	screen.Press(t, "guess-1\r")
	screen.Await(t, "pw: this password was refused")
	screen.Press(t, "swordfish\r")
	stdout, code := ended()
	if code != 0 || stdout != "authenticated to pw as deploy by password\n" {
		t.Fatalf("exit code %d, %q\nterminal %q", code, stdout, screen.Text())
	}
	shown := screen.Text()
	var again api.AuthResult
	if err := json.Unmarshal([]byte(s.OK("auth", "pw", "--json").Stdout), &again); err != nil {
		t.Fatal(err)
	}
	if !again.Already || again.By != "password" || again.User != "deploy" || again.Link == nil || again.Link.State != "up" {
		t.Errorf("then %+v", again)
	}

	screen, ended = asking(t, s, "auth", "otp", "--json")
	screen.Await(t, "otp: [2JDuo")
	screen.Await(t, "otp: User: ")
	screen.Press(t, "deploy\r")
	screen.Await(t, "otp: Passcode or option (1-2): ")
	screen.Press(t, "424242\r")
	stdout, code = ended()
	var result api.AuthResult
	if err := json.Unmarshal([]byte(stdout), &result); err != nil || code != 0 || result.By != "keyboard-interactive" || result.Already {
		t.Errorf("exit code %d, %q, %v\nterminal %q", code, stdout, err, screen.Text())
	}
	unsaid(t, s, []string{"swordfish", "guess-1", "424242"}, shown, screen.Text())
}

// TestPickAsks: the look for what can be picked asks what an open would.
func TestPickAsks(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	serveSSH(t, s, "pw", sshserver.Config{Password: func(p string) bool { return p == "swordfish" }})
	sleeper := exec.Command(tools.Need(t, tools.Python), "-c", "import time; time.sleep(600)")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sleeper.Process.Kill(); sleeper.Wait() })
	screen, ended := asking(t, s, "open", "pw:python")
	screen.Await(t, "pw: password of deploy@127.0.0.1:")
	screen.Press(t, "swordfish\r")
	screen.Await(t, "Type to filter")
	screen.Press(t, "\x1b")
	if stdout, code := ended(); code != 130 || stdout != "" {
		t.Errorf("exit code %d, stdout %q, terminal %q", code, stdout, screen.Text())
	}
}

// TestForwardAsks: so does a forward, which is kept then.
func TestForwardAsks(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	serveSSH(t, s, "pw", sshserver.Config{Password: func(p string) bool { return p == "swordfish" }})
	s.complains(t, complaint{4, api.CodeAuth, []string{"brokerctl auth pw"}}, "forward", "pw", "-L", "0:127.0.0.1:9")
	screen, ended := asking(t, s, "forward", "pw", "-L", "0:127.0.0.1:9", "--json")
	screen.Await(t, "pw: password of deploy@127.0.0.1:")
	screen.Press(t, "swordfish\r")
	stdout, code := ended()
	var list []api.Forward
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || code != 0 || len(list) != 1 || list[0].State != "up" {
		t.Errorf("exit code %d, stdout %q, %v, terminal %q", code, stdout, err, screen.Text())
	}
}

// TestAuthNewHostKey: a host that nobody knows yet is shown, and known from then on.
func TestAuthNewHostKey(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	known := filepath.Join(s.sshd.Dir(), "new_known_hosts")
	s.sshd.AddHost("new", "StrictHostKeyChecking ask", "UserKnownHostsFile "+known)
	s.complains(t, complaint{4, api.CodeHostKey, []string{"SHA256:", "brokerctl auth new"}}, "auth", "new")
	screen, ended := asking(t, s, "auth", "new")
	screen.Await(t, "(yes/no/fingerprint)")
	screen.Press(t, "no\r")
	if stdout, code := ended(); code != 4 || stdout != "" {
		t.Errorf("no: exit code %d, stdout %q, terminal %q", code, stdout, screen.Text())
	}
	screen, ended = asking(t, s, "auth", "new")
	screen.Await(t, "SHA256:")
	screen.Await(t, "(yes/no/fingerprint)")
	screen.Press(t, "yes\r")
	if stdout, code := ended(); code != 0 || !strings.HasPrefix(stdout, "authenticated to new as ") {
		t.Errorf("exit code %d, stdout %q, terminal %q", code, stdout, screen.Text())
	}
	if data, err := os.ReadFile(known); err != nil || len(strings.Fields(string(data))) < 3 {
		t.Errorf("known hosts: %q, %v", data, err)
	}
	if got := linkState(t, s, "new"); got != "up" {
		t.Errorf("the link is %q, want up", got)
	}
}

// TestAuthGivenUp: Ctrl-C at a question ends the command, and leaves the terminal as it was; wrong answers are asked for three times.
func TestAuthGivenUp(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	serveSSH(t, s, "pw", sshserver.Config{Password: func(string) bool { return false }})
	for key, args := range map[string][]string{"\x03": {"auth", "pw"}, "\x04": {"open", "pw:python", "--", "app.py"}} {
		screen, ended := asking(t, s, args...)
		screen.Await(t, "pw: password of")
		screen.Press(t, key)
		if stdout, code := ended(); code != 130 || stdout != "" {
			t.Errorf("%q: exit code %d, stdout %q, terminal %q", key, code, stdout, screen.Text())
		}
		screen.Await(t, "cancelled")
	}
	screen, ended := asking(t, s, "auth", "pw")
	for i := range 3 {
		screen.AwaitTimes(t, "pw: password of", i+1)
		screen.Press(t, "no\r")
	}
	if _, code := ended(); code != 4 {
		t.Errorf("exit code %d, terminal %q", code, screen.Text())
	}
	screen.Await(t, "does not take what was answered")
	screen.Await(t, "brokerctl auth pw")
	if n := strings.Count(screen.Text(), "pw: password of"); n != 3 {
		t.Errorf("asked %d times, terminal %q", n, screen.Text())
	}
}
