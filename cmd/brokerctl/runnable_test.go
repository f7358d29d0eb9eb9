package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRunnable(t *testing.T) {
	us := os.Geteuid()
	for name, c := range map[string]struct {
		file, dir os.FileMode
		link      bool // the path is a link in a directory of ours
		uid       int  // of the directory; 0 leaves it ours
		want      bool
	}{
		"ours":                  {file: 0o755, dir: 0o755, want: true},
		"sticky":                {file: 0o755, dir: 0o777 | os.ModeSticky, want: true},
		"open directory":        {file: 0o755, dir: 0o777},
		"link to one":           {file: 0o755, dir: 0o777, link: true},
		"another's directory":   {file: 0o755, dir: 0o755, uid: 12345},
		"anybody may write":     {file: 0o777, dir: 0o755},
		"not executable":        {file: 0o644, dir: 0o755},
		"link to a good one":    {file: 0o755, dir: 0o755, link: true, want: true},
		"ours, for our own use": {file: 0o700, dir: 0o700, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "brokerd")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.file); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, c.dir); err != nil {
				t.Fatal(err)
			}
			if c.uid != 0 {
				if us != 0 {
					t.Skip("needs root, to give a directory away")
				}
				if err := os.Chown(dir, c.uid, -1); err != nil {
					t.Fatal(err)
				}
			}
			if c.link {
				link := filepath.Join(t.TempDir(), "brokerd")
				if err := os.Symlink(path, link); err != nil {
					t.Fatal(err)
				}
				path = link
			}
			if err := runnable(path, us); (err == nil) != c.want {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestNamedBrokerdOfOthers has a configuration that others can write name a program.
func TestNamedBrokerdOfOthers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte("brokerd = \"/bin/true\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := place{config: file}
	if named, err := p.namedBrokerd(); err != nil || named != "/bin/true" {
		t.Errorf("ours: %q, %v", named, err)
	}
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	if named, err := p.namedBrokerd(); err != nil || named != "" {
		t.Errorf("anybody's: %q, %v", named, err)
	}
}
