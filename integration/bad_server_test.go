package integration_test

import (
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"os"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/answering"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// TestAgentOfTheCaller: the daemon was started without an agent, and uses the one of the shell that asks.
func TestAgentOfTheCaller(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	s := newStation(t, sshd.Options{}, "")
	d := s.sshd
	locked := authorized(t, d, d.WriteKey("locked", "secret"))
	d.AddHost("agent", "IdentityFile "+locked, "IdentityAgent SSH_AUTH_SOCK")
	s.clean(t)
	open := []string{"open", "agent:python", "--interpreter", python, "--json", "--", programs.Path(t, "python/ticker.py")}

	complaint{4, api.CodeAuth, []string{"ssh-add", locked}}.check(t, errorOf(t, s.Run(open...)))
	gone := []string{"SSH_AUTH_SOCK=" + filepath.Join(s.Dir(), "no-agent")}
	complaint{4, api.CodeAuth, []string{"ssh-add"}}.check(t, errorOf(t, s.runWith(t, gone, open...)))

	env := []string{"SSH_AUTH_SOCK=" + serveAgent(t, s.Dir(), locked, "secret")}
	if r := s.runWith(t, env, open...); r.Code != 0 {
		t.Errorf("with an agent: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	for _, v := range sessions(t, s, false) {
		s.Close(v.ID)
	}
}

// serveAgent serves an ssh-agent that holds a key, and returns its socket.
func serveAgent(t *testing.T, dir, key, passphrase string) string {
	t.Helper()
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	priv, err := ssh.ParseRawPrivateKeyWithPassphrase(text, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	keys := agent.NewKeyring()
	if err := keys.Add(agent.AddedKey{PrivateKey: priv}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "agent")
	answering.Serve(t, "unix", path, func(c net.Conn) { _ = agent.ServeAgent(keys, c) })
	return path
}

// TestOptionsNotHonoured: what of the ssh configuration has no effect is said, in `open` and in `show`.
func TestOptionsNotHonoured(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	s := newStation(t, sshd.Options{}, "")
	s.sshd.AddHost("odd", "ForwardAgent yes", "Compression yes", "Ciphers aes128-ctr", "StrictHostKeyChecking no")
	s.clean(t)
	r := s.OK("open", "odd:python", "--interpreter", python, "--", programs.Path(t, "python/ticker.py"))
	id := sessions(t, s, false)[0].ID
	shown := s.OK("show", id).Stdout
	for _, option := range []string{"ForwardAgent", "Compression", "StrictHostKeyChecking"} {
		for where, text := range map[string]string{"open": r.Stderr, "show": shown} {
			if !strings.Contains(text, option) {
				t.Errorf("%s does not tell of %s:\n%s", where, option, text)
			}
		}
	}
	if w := strings.Join(s.Show(id).Warnings, "\n"); !strings.Contains(w, "ForwardAgent") {
		t.Errorf("show --json: warnings %q", w)
	}
	s.Close(id)
}

// TestForwardingForbidden: python needs TCP and says so; go has another way.
func TestForwardingForbidden(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	t.Run("tcp", func(t *testing.T) {
		t.Parallel()
		s := newStation(t, sshd.Options{NoTCPForwarding: true}, "")
		s.clean(t)
		s.complains(t, complaint{5, api.CodeForwarding, []string{"AllowTcpForwarding"}}, "open", "box:python", "--interpreter", python, "--", programs.Path(t, "python/ticker.py"))
	})
	t.Run("streamlocal", func(t *testing.T) {
		t.Parallel()
		dlv := tools.NeedDlv(t)
		s := newStation(t, sshd.Options{NoStreamForwarding: true}, "")
		s.clean(t)
		v := s.Open("box:go", "--interpreter", dlv, "--", programs.BuildGo(t, "ticker"))
		if !strings.HasPrefix(v.Remote, "127.0.0.1:") {
			t.Errorf("remote is %q, want TCP", v.Remote)
		}
		path := programs.Path(t, "go/ticker/main.go")
		d := expect.DialDAP(t, v.Local)
		d.Begin(map[string]any{"mode": "remote"}, path, programs.BreakLine(t, path))
		d.WaitStopped("breakpoint")
		s.Close(v.ID)
	})
}

// TestMaxSessions: four sessions where sshd lets a connection have two channels.
func TestMaxSessions(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	s := newStation(t, sshd.Options{MaxSessions: 2}, "")
	s.clean(t)
	var running sync.WaitGroup
	results := make([]brokertest.Result, 4)
	for i := range results {
		running.Go(func() {
			results[i] = s.runWith(t, nil, "open", "box:python", "--interpreter", python, "--json", "--", programs.Path(t, "python/ticker.py"))
		})
	}
	running.Wait()
	for i, r := range results {
		if r.Code != 0 {
			t.Errorf("open %d: exit code %d\n%s%s", i, r.Code, r.Stdout, r.Stderr)
		}
	}
	if n := len(sessions(t, s, false)); n != 4 {
		t.Errorf("%d sessions", n)
	}
	s.OK("close", "--all")
}

// TestJumpHost goes over a second sshd, whose own troubles are told by its name.
func TestJumpHost(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	jump := sshd.New(t, sshd.Options{Alias: "bastion"})
	s := newStation(t, sshd.Options{Alias: "inner", Jump: jump}, "")
	s.clean(t)
	path := programs.Path(t, "python/ticker.py")
	v := s.Open("inner:python", "--interpreter", python, "--", path)
	d := expect.DialDAP(t, v.Local)
	d.Begin(map[string]any{}, path, programs.BreakLine(t, path))
	d.WaitStopped("breakpoint")
	s.Close(v.ID)
	if !strings.Contains(jump.Log(), "Accepted publickey") {
		t.Error("the jump host was not asked")
	}
	s.OK("stop")
	jump.Stop()
	s.complains(t, complaint{5, api.CodeUnreachable, []string{"bastion", "refused"}}, "open", "inner:python", "--interpreter", python, "--", path)
}
