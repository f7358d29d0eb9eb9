package tunnel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestLendAgent: commands on a host reach the user's agent where our own configuration says so, and only the user's own agent.
func TestLendAgent(t *testing.T) {
	key := filepath.Join(t.TempDir(), "id")
	signer := newKey(t, "ed25519", key, "")
	server := startSSHD(t, []ssh.PublicKey{signer.PublicKey()})
	const list = `for i in 1 2 3; do ssh-add -L || echo "none at ${SSH_AUTH_SOCK:-nowhere}"; done`
	holds := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	sock := startAgent(t, 0, key)
	given := startAgent(t, 0, key)
	if os.Geteuid() == 0 {
		if err := os.Chown(given, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	plain := server.hop(t, key)
	plain.ForwardAgent = "yes"
	plain.Warnings = []string{"ForwardAgent is not honoured"}
	plain.IdentityAgent = ""
	none := plain
	none.IdentityAgent = "none"
	tests := []struct {
		name   string
		target Target
		caller Caller
		want   int // how often the key is listed
		says   string
	}{
		{"not asked for", NewTarget([]Hop{plain}), Caller{AuthSock: sock}, 0, "none at nowhere"},
		{"lent", NewTarget([]Hop{plain}).LendingAgent(), Caller{AuthSock: sock}, 3, holds},
		{"there is none", NewTarget([]Hop{plain}).LendingAgent(), Caller{}, 0, "none at /"},
		{"IdentityAgent none", NewTarget([]Hop{none}).LendingAgent(), Caller{AuthSock: sock}, 0, "none at nowhere"},
		{"another user's", NewTarget([]Hop{plain}).LendingAgent(), Caller{AuthSock: given}, 0, "none at /"},
	}
	for _, test := range tests {
		if test.caller.AuthSock == given && os.Geteuid() != 0 {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			conn, err := (&Dialer{}).Dial(t.Context(), test.target, test.caller, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			for range 2 { // two commands on one connection
				out, _ := runCommand(t, connCarrier{conn}, "("+list+") 2>/dev/null")
				if n := strings.Count(out, holds); n != test.want || !strings.Contains(out, test.says) {
					t.Errorf("listed %d times, want %d: %s", n, test.want, out)
				}
			}
			if n := conn.lent.open.Load(); n > maxLent {
				t.Errorf("%d open", n)
			}
		})
	}
	if one, other := NewTarget([]Hop{plain}), NewTarget([]Hop{plain}).LendingAgent(); one.Key() == other.Key() || len(one.Warnings()) != 1 || len(other.Warnings()) != 0 {
		t.Errorf("keys %q and %q; warnings %q and %q", one.Key(), other.Key(), one.Warnings(), other.Warnings())
	}
}
