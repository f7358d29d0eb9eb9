package sshconfig

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// A file that we may not read is told; ssh itself says nothing where it is the user's own.
func TestUnreadableFile(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(home, 0o755); err != nil { // whoever we become below has to get there
		t.Fatal(err)
	}
	config := filepath.Join(home, ".ssh", "config")
	writeFile(t, config, "User bob\n")
	if err := os.Chmod(config, 0); err != nil {
		t.Fatal(err)
	}
	for kind, r := range map[string]*Resolver{"ssh": withSSH(t, ""), "native": without("")} {
		r.user.home, r.from.home = home, home
		var found answer
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			if os.Getuid() == 0 { // root reads everything, but not with another uid for files, which a thread may have for itself
				runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
				if err = syscall.Setfsuid(65534); err != nil {
					return
				}
			}
			found, err = r.ask(t.Context(), destination{host: "a"}, os.Environ())
		}()
		<-done
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		} else if notes := strings.Join(found.notes, "\n"); !strings.Contains(notes, config) || !strings.Contains(notes, "permission denied") {
			t.Errorf("%s: notes %q", kind, notes)
		}
	}
}
