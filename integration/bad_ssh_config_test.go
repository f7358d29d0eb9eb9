package integration_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// TestSSHConfigsThatSSHRefuses: why, and the way out, are said; and once the file is mended, the daemon that runs goes by it.
func TestSSHConfigsThatSSHRefuses(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	extra := filepath.Join(s.sshd.Dir(), "extra")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(extra, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(extra, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("", 0o600)
	s.sshd.AddHost("box", "Include "+extra)
	tests := []struct {
		name, text string
		mode       os.FileMode
		words      []string
	}{
		{"circle", "Include " + s.sshd.ConfigFile() + "\n", 0o600, []string{"the Includes do not end", "take the Include that leads back out of " + extra}},
		{"itself", "Include " + extra + "\n", 0o600, []string{"the Includes do not end", extra + " includes " + extra}},
		{"writable", "User mallory\n", 0o602, []string{"may be changed by others", "chmod go-w " + extra}},
		{"option", "NoSuchOption yes\n", 0o600, []string{"line 1", "nosuchoption"}},
		{"quote", "IdentityFile \"/a\n", 0o600, []string{"line 1", "invalid quotes"}},
		{"control characters", "Host a\n\x1b[2J\x07 yes\n", 0o600, []string{"line 2", `[2j`}},
		{"jump circle", "ProxyJump box\n", 0o600, []string{"ProxyJump goes in a circle", "ProxyJump none"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			write(tt.text, tt.mode)
			s.in(t).complains(t, complaint{5, api.CodeUnresolvable, tt.words}, "open", "box:python", "--", "app.py")
		})
	}
	write("# mended\n", 0o600)
	s.OK("doctor", "box")
	s.clean(t)
}
