package tunnel

import (
	"os"
	"path/filepath"
	"testing"
)

// TestOtherUsersOfADirectory counts at least one where accounts come from elsewhere than the files.
func TestOtherUsersOfADirectory(t *testing.T) {
	passwd := "root:x:0:0::/root:/bin/sh\nann:x:54321:100::/home/ann:/bin/sh\nwww:x:33:33::/:/usr/sbin/nologin\n"
	for nsswitch, want := range map[string]int{
		"":                        1, // no such file
		"passwd: files systemd\n": 1,
		"passwd:\tcompat [NOTFOUND=return] db # sss\n": 1,
		"passwd: files sss\nhosts: files dns\n":        2,
		" passwd:files ldap [NOTFOUND=return]\n":       2,
		"group: files sss\npasswd: files\n":            1,
	} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "passwd"), passwd)
		if nsswitch != "" {
			writeFile(t, filepath.Join(dir, "nsswitch.conf"), nsswitch)
		}
		h := NewLocal(LocalOptions{Environ: append(os.Environ(), "dbk_etc="+dir)})
		f, err := h.Facts(t.Context())
		h.Release()
		if err != nil || f.OtherUsers != want {
			t.Errorf("%q: %d other users, %v, want %d", nsswitch, f.OtherUsers, err, want)
		}
	}
}
