package tunnel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/integration/tools"
)

// TestLoginPath gives each login shell a profile of its own kind, which sets PATH and is noisy about it.
func TestLoginPath(t *testing.T) {
	for name, profile := range map[string]struct{ file, text string }{
		"sh":   {".profile", "echo hello; PATH=/from-profile:$PATH; export PATH\n"},
		"bash": {".bash_profile", "echo hello; printf 'no end'; export PATH=\"/from-profile:$PATH\"\n"},
		"zsh":  {".zprofile", "echo hello; export PATH=\"/from-profile:$PATH\"\n"},
		"fish": {".config/fish/config.fish", "echo hello\nset -gx PATH /from-profile $PATH\n"},
		"csh":  {".login", "echo hello\nsetenv PATH \"/from-profile:$PATH\"\n"},
		"tcsh": {".login", "echo hello\nsetenv PATH \"/from-profile:$PATH\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			shell, home := tools.NeedShell(t, name), t.TempDir()
			file := filepath.Join(home, profile.file)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(profile.text), 0o600); err != nil {
				t.Fatal(err)
			}
			h := NewLocal(LocalOptions{Environ: []string{"HOME=" + home, "SHELL=" + shell, "PATH=/usr/bin:/bin"}})
			defer h.Release()
			f, err := h.Facts(t.Context())
			if err != nil || !strings.HasPrefix(f.Path, "/from-profile:") || f.Shell != shell || f.Home != home {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
}

// TestBrokenProfile: a login shell that never answers costs its bound, leaves nothing, and the present PATH serves.
func TestBrokenProfile(t *testing.T) {
	defer goleak.VerifyNone(t)
	home := t.TempDir()
	pid := filepath.Join(home, "pid")
	profile := "echo $$ >" + pid + "\ntrap '' TERM\nwhile :; do sleep 1; done\n"
	if err := os.WriteFile(filepath.Join(home, ".profile"), []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	h := NewLocal(LocalOptions{Environ: []string{"HOME=" + home, "SHELL=/bin/sh", "PATH=/usr/bin:/bin"}})
	defer h.Release()
	began := time.Now()
	f, err := h.Facts(t.Context())
	if took := time.Since(began); err != nil || f.Path != "/usr/bin:/bin" || took > 2*loginShellBound+2*time.Second {
		t.Errorf("%+v, %v, after %s", f, err, took)
	}
	data, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the login shell is gone", func() bool { return !exists("/proc/" + strings.TrimSpace(string(data))) })
}

// TestWithoutProc works as a system without /proc does, by ps.
func TestWithoutProc(t *testing.T) {
	tools.NeedShell(t, "ps")
	t.Cleanup(func() { goleak.VerifyNone(t) })
	h := NewLocal(LocalOptions{Environ: append(os.Environ(), "dbk_proc=/nonexistent")})
	t.Cleanup(h.Release)
	f, err := h.Facts(t.Context())
	if err != nil || f.HasProc || f.BootID == "" {
		t.Errorf("%+v, %v", f, err)
	}
	ws := suiteDir(t, h)
	p := suiteSh(t, h, ws, "trap '' TERM; sleep 1000 & echo $!; echo $$; while :; do sleep 1; done")
	child, main := identify(t, linePID(t, p.Stdout())), identify(t, linePID(t, p.Stdout()))
	if _, err := h.Adopt(t.Context(), ws, child.PID, false); err != nil {
		t.Error(err)
	}
	left, err := h.Reap(t.Context(), ws)
	if err != nil || len(left) > 0 || runs(child) || runs(main) || exists(ws) {
		t.Errorf("left %q, %v", left, err)
	}
	eventually(t, "nothing of the session is left", func() bool { return len(members(main.PID)) == 0 })
	if _, err := h.Listeners(t.Context()); err != nil {
		t.Error(err)
	}
}
