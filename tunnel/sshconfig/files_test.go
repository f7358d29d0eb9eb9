package sshconfig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/integration/tools"
	"github.com/debugbroker/debugbroker/tunnel"
)

// What ssh refuses is an error of a kind, with a way out.
func TestRefusedFiles(t *testing.T) {
	dir := t.TempDir()
	one, two, open := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "open")
	writeFile(t, one, "Host a\nInclude "+two+"\n")
	writeFile(t, two, "Include "+one+"\n")
	writeFile(t, open, "User mallory\n")
	if err := os.Chmod(open, 0o602); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, file string
		want       error
		hint       string
		native     bool // it is an error there, too
	}{
		{"circle", one, ErrInclude, "out of " + two, false},
		{"writable", configFile(t, "Include "+open+"\n"), ErrPermissions, "chmod go-w " + open, true},
		{"mark", configFile(t, byteOrderMark+"Host a\n"), errMark, "without it", false},
	}
	if os.Getuid() == 0 {
		foreign := filepath.Join(dir, "foreign")
		writeFile(t, foreign, "User mallory\n")
		if err := os.Chown(foreign, 12345, -1); err != nil {
			t.Fatal(err)
		}
		tests = append(tests, tests[1])
		last := &tests[len(tests)-1]
		last.name, last.file, last.hint = "foreign", configFile(t, "Include "+foreign+"\n"), "chown 0 "+foreign
	}
	for _, test := range tests {
		for kind, r := range map[string]*Resolver{"ssh": withSSH(t, test.file), "native": without(test.file)} {
			target, err := r.Resolve(t.Context(), "a", nil)
			if kind == "native" && !test.native {
				if w := target.Warnings(); err != nil || len(w) != 1 || !strings.Contains(w[0], test.want.Error()) {
					t.Errorf("%s, native: %v, warnings %q", test.name, err, w)
				}
				continue
			}
			var hinted *tunnel.HintedError
			if !errors.Is(err, test.want) || !errors.Is(err, tunnel.ErrHostUnresolvable) || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint, test.hint) {
				t.Errorf("%s, %s: %v, hint of %+v", test.name, kind, err, hinted)
			}
			if target.Last().User == "mallory" {
				t.Errorf("%s, %s: the file is obeyed", test.name, kind)
			}
		}
	}
}

// What `ssh -G` prints is bounded, and what is cut off is not taken for the whole.
func TestOutputOfSSHIsBounded(t *testing.T) {
	tools.Need(t, tools.SSH)
	file := configFile(t, "Host a\n IdentityFile /"+strings.Repeat("x", maxAskOutput)+"\n")
	if target, err := withSSH(t, file).Resolve(t.Context(), "a", nil); err == nil || !strings.Contains(err.Error(), "MiB") {
		t.Errorf("%+v, %v", target.Last().HostName, err)
	}
}

// Relative Includes are looked for in ~/.ssh, those of the system in its own directory; ~ is the user's alone.
func TestIncludesOfTheUser(t *testing.T) {
	home := t.TempDir()
	for name, text := range map[string]string{
		".ssh/config": "Include relative.conf conf.d/* ~/elsewhere\n", ".ssh/relative.conf": "User bob\n", ".ssh/conf.d/a": "Port 5\n",
		".ssh/conf.d/.b.swp": "HostName wrong\n", "elsewhere": "HostKeyAlias x\n",
	} {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, text)
	}
	r := without("")
	r.user.home, r.from = home, sources{home: home}
	target, err := r.Resolve(t.Context(), "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := brief(target)+" "+target.Last().HostKeyAlias, "bob@a:5 x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var notes []string
	w := &walker{broken: func(err error) { notes = append(notes, err.Error()) }}
	w.included("~/elsewhere", scope{base: "/etc/ssh"})
	if len(notes) != 1 {
		t.Errorf("the system's file includes one of a home: %q", notes)
	}
}

// Many files that include many files are read to a bound.
func TestIncludesAreBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		writeFile(t, filepath.Join(dir, fmt.Sprintf("%02d", i)), fmt.Sprintf("Include %s/[%d-9]?\nHost h%d\n", dir, i/10+1, i))
	}
	var read, broken int
	walkConfig(sources{file: filepath.Join(dir, "00")}, &walker{source: func(string) { read++ }, broken: func(err error) {
		if broken++; !errors.Is(err, ErrInclude) {
			t.Error(err)
		}
	}})
	if read > 4*maxConfigFiles || broken == 0 {
		t.Errorf("%d files read, %d refused", read, broken)
	}
}
