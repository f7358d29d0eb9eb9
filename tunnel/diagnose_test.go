package tunnel

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/sshserver"
)

// diagnosed is what Diagnose reported, a line each: "ok" or "FAIL", the check, what was found.
func diagnosed(ctx context.Context, t *testing.T, hops []Hop, each func(Finding)) (lines []string, err error) {
	t.Helper()
	var d Dialer
	host, err := d.Diagnose(ctx, "box", NewTarget(hops), Caller{}, func(f Finding) {
		mark := "FAIL "
		if f.OK {
			mark = "ok "
		}
		lines = append(lines, mark+f.Check+": "+f.Detail)
		if each != nil {
			each(f)
		}
	})
	if err == nil {
		host.Release()
	}
	if (host == nil) != (err != nil) {
		t.Errorf("host %v, error %v", host, err)
	}
	return lines, err
}

func contains(lines []string, part string) bool {
	return strings.Contains("\n"+strings.Join(lines, "\n")+"\n", part)
}

// TestDiagnose: a healthy server, and a key that is not enough for another.
func TestDiagnose(t *testing.T) {
	s := runSSHD(t, sshd.Options{})
	lines, err := diagnosed(t.Context(), t, []Hop{s.hop(t, s.IdentityFile())}, nil)
	if err != nil || contains(lines, "\nFAIL") || !contains(lines, "\nok socket forwarding: allowed") {
		t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
	}

	one := runSSHD(t, sshd.Options{Lines: []string{"AuthenticationMethods publickey,publickey"}})
	lines, err = diagnosed(t.Context(), t, []Hop{one.hop(t, one.IdentityFile())}, nil)
	if !errors.Is(err, ErrAuth) || !contains(lines, "accepted, and the server wants more than a key") || !contains(lines, "\nFAIL authentication: ") {
		t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
	}
}

// TestDiagnoseQuestions: what a server would ask is told, and nobody is asked.
func TestDiagnoseQuestions(t *testing.T) {
	key := filepath.Join(t.TempDir(), "id")
	newKey(t, "ed25519", key, "")
	hop := serveSSH(t, sshserver.Config{AuthorizedKey: newKey(t, "ed25519", key+"2", "").PublicKey(), Password: func(string) bool { return true }}, key)
	hints := ""
	lines, err := diagnosed(t.Context(), t, []Hop{hop}, func(f Finding) { hints += f.Check + ": " + f.Hint + "\n" })
	if !errors.Is(err, ErrNeedsAuth) || !contains(lines, "\nok password: the server offers to ask for a password\n") || !contains(lines, "\nFAIL key: "+key) ||
		!contains(lines, "\nFAIL authentication: ") || !strings.Contains(hints, "authentication: brokerctl auth box") {
		t.Errorf("%v\n%s\n%s", err, strings.Join(lines, "\n"), hints)
	}
}

// TestDiagnoseInterrupted: the end of the context is no finding, and whoever ends it does not wait.
func TestDiagnoseInterrupted(t *testing.T) {
	s := runSSHD(t, sshd.Options{})
	for _, at := range []string{"port", "host key", "authentication", "round trip", "sessions", "login shell", "socket forwarding"} {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		lines, err := diagnosed(ctx, t, []Hop{s.hop(t, s.IdentityFile())}, func(f Finding) {
			if f.Check == at {
				cancel()
			}
		})
		if err == nil || contains(lines, "\nFAIL port") || contains(lines, "\nFAIL authentication") || time.Since(began) > 5*time.Second {
			t.Errorf("cancelled at %q: %v after %s\n%s", at, err, time.Since(began), strings.Join(lines, "\n"))
		}
		cancel()
	}
}

// TestDiagnoseLost: a connection that breaks in the midst is a finding, wherever that is.
func TestDiagnoseLost(t *testing.T) {
	s := runSSHD(t, sshd.Options{})
	for _, at := range []string{"round trip", "sessions", "login shell", "tcp forwarding"} {
		lines, err := diagnosed(t.Context(), t, []Hop{s.hop(t, s.IdentityFile())}, func(f Finding) {
			if f.Check == at && f.OK {
				s.KillConnections()
			}
		})
		if err == nil || !contains(lines, "\nFAIL ") {
			t.Errorf("lost at %q: %v\n%s", at, err, strings.Join(lines, "\n"))
		}
	}
}

func TestIdentification(t *testing.T) {
	for first, want := range map[string]string{
		"SSH-2.0-OpenSSH_9.2p1 Debian\r\nrest": "SSH-2.0-OpenSSH_9.2p1 Debian",
		"hello\r\nSSH-2.0-x\r\n":               "SSH-2.0-x",
		"SSH-2.0-\x1b[2Jx\r\n":                 `SSH-2.0-\x1b[2Jx`,
		"HTTP/1.1 400 Bad Request\r\n\r\n":     "",
		"":                                     "",
		"SSH-2.0-" + strings.Repeat("x", maxFirstWords): "SSH-2.0-" + strings.Repeat("x", 192) + "…",
	} {
		var words firstWords
		words.note([]byte(first))
		if got := words.identification(); got != want {
			t.Errorf("%q: %q, want %q", first, got, want)
		}
	}
}
