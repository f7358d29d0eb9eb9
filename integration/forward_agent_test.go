package integration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// TestForwardedAgent: programs on a host reach the user's agent where our configuration says so, and else not, whatever ssh's says.
func TestForwardedAgent(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	s := newStation(t, sshd.Options{}, "[[host]]\nmatch = \"odd\"\nforward_agent = false\n\n[[host]]\nmatch = \"*d*\"\nforward_agent = true\n")
	dir, err := os.MkdirTemp("/tmp", "fa-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	sock := serveAgent(t, dir, authorized(t, s.sshd, s.sshd.WriteKey("agentkey", "secret")), "secret")
	program := filepath.Join(dir, "agent.py")
	if err := os.WriteFile(program, []byte("import os, time\nprint('agent', os.environ.get('SSH_AUTH_SOCK', 'none'), flush=True)\ntime.sleep(600)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for host, lent := range map[string]bool{"lend": true, "odd": false, "box1": false} {
		s.sshd.AddHost(host, "ForwardAgent yes", "IdentityAgent "+sock)
		v := s.Open(host+":python", "--no-wait", "--interpreter", python, "--", program)
		awaitOutput(t, s.Broker, v.ID, 0, "agent ")
		var said string
		for _, l := range brokertest.Lines[api.LogLine](s.Broker, "logs", v.ID) {
			if strings.HasPrefix(l.Text, "agent ") {
				said = l.Text
			}
		}
		if said == "" || (said != "agent none") != lent {
			t.Errorf("%s: the program said %q", host, said)
		}
		if warned := strings.Contains(strings.Join(v.Warnings, "\n"), "ForwardAgent"); warned == lent {
			t.Errorf("%s: warnings %q", host, v.Warnings)
		}
		s.Close(v.ID)
	}
}
