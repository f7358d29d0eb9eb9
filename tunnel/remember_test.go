package tunnel

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/crypto/ssh"
)

// unknownBox is a server whose key nobody knows, and the file that would be written to.
func unknownBox(t *testing.T) (hop Hop, key ssh.PublicKey, known string) {
	server, hop := testBox(t)
	known = filepath.Join(t.TempDir(), "ssh", "known_hosts")
	hop.UserKnownHostsFiles = []string{known}
	return hop, server.hostKey, known
}

// TestAskAboutHostKey: the person decides, and is asked once.
func TestAskAboutHostKey(t *testing.T) {
	hop, key, known := unknownBox(t)
	tests := []struct {
		name    string
		answers []string
		err     error // of the question itself
		want    bool
	}{
		{"no", []string{"no"}, nil, false},
		{"nothing", []string{""}, nil, false},
		{"another fingerprint", []string{"SHA256:abc", "x", "y"}, nil, false},
		{"the question fails", nil, context.Canceled, false},
		{"yes", []string{"what?", " Yes\n"}, nil, true},
		{"fingerprint", []string{ssh.FingerprintSHA256(key)}, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_ = os.RemoveAll(filepath.Dir(known))
			var asked []Prompt
			caller := Caller{Ask: func(_ context.Context, p Prompt) (string, error) {
				asked = append(asked, p)
				if test.err != nil {
					return "", test.err
				}
				return test.answers[len(asked)-1], nil
			}}
			err := dialOnce(t.Context(), []Hop{hop}, caller)
			if len(asked) != max(len(test.answers), 1) {
				t.Errorf("%d questions", len(asked))
			}
			for _, p := range asked {
				if p.Kind != PromptHostKey || p.Hop != "box" || !p.Echo || !strings.Contains(p.Note, ssh.FingerprintSHA256(key)) {
					t.Errorf("asked %+v", p)
				}
			}
			if test.want {
				if err != nil {
					t.Fatal(err)
				}
				if err := dialOnce(t.Context(), []Hop{hop}, Caller{}); err != nil {
					t.Errorf("with nobody there, after that: %v", err)
				}
				return
			}
			if !errors.Is(err, ErrHostKey) || !errors.Is(err, ErrNeedsAuth) {
				t.Fatalf("Dial = %v", err)
			}
			if _, err := os.Stat(known); err == nil {
				t.Error("the key was written down")
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		_ = os.RemoveAll(filepath.Dir(known))
		err := dialOnce(t.Context(), []Hop{hop}, Caller{})
		if !errors.Is(err, ErrHostKey) || !errors.Is(err, ErrNeedsAuth) {
			t.Fatalf("Dial = %v", err)
		}
		checkWords(t, err, "is unknown: ssh-ed25519 SHA256:", "`brokerctl auth box`")
	})
	t.Run("a changed key is no question", func(t *testing.T) {
		for _, strict := range []string{"ask", "accept-new", "no"} {
			changed := hop
			changed.StrictHostKeyChecking = strict
			changed.UserKnownHostsFiles = []string{filepath.Join(t.TempDir(), "k")}
			text := "127.0.0.1,[127.0.0.1]:* " + string(ssh.MarshalAuthorizedKey(newKey(t, "ed25519", filepath.Join(t.TempDir(), "o"), "").PublicKey()))
			writeFile(t, changed.UserKnownHostsFiles[0], text)
			err := dialOnce(t.Context(), []Hop{changed}, Caller{Ask: func(context.Context, Prompt) (string, error) { return "yes", nil }})
			if !errors.Is(err, ErrHostKey) || errors.Is(err, ErrNeedsAuth) {
				t.Errorf("%s: Dial = %v", strict, err)
			}
			if fileText(t, changed.UserKnownHostsFiles[0]) != text {
				t.Errorf("%s: the file has changed", strict)
			}
		}
	})
}

// TestRememberHostKey: how a key gets into the file.
func TestRememberHostKey(t *testing.T) {
	dir := t.TempDir()
	key := newKey(t, "ed25519", filepath.Join(dir, "key"), "").PublicKey()
	want := "[box.example]:2222 " + string(ssh.MarshalAuthorizedKey(key))
	remember := func(t *testing.T, path string) string {
		hop := Hop{HostName: "Box.example", Port: 2222, UserKnownHostsFiles: []string{path}, StrictHostKeyChecking: "accept-new"}
		k, err := loadHostKeys(&hop, hclog.NewNullLogger(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.check(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if err := k.check(t.Context(), key); err != nil { // as when the keys of the connection are changed
			t.Fatal(err)
		}
		return k.how
	}
	for name, before := range map[string]string{"new": "", "ended": "x y z\n", "not ended": "x y z"} {
		path := filepath.Join(dir, name, "known_hosts")
		if before != "" {
			if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			writeFile(t, path, before)
			before = strings.TrimSpace(before) + "\n"
		}
		remember(t, path)
		if got := fileText(t, path); got != before+want {
			t.Errorf("%s: the file is %q", name, got)
		}
		if before != "" {
			continue
		}
		for p, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
			if info, err := os.Stat(p); err != nil || info.Mode().Perm() != mode {
				t.Errorf("%s: %v, %v", p, info.Mode(), err)
			}
		}
	}

	link := filepath.Join(dir, "link")
	writeFile(t, filepath.Join(dir, "behind"), "")
	if err := os.Symlink("behind", link); err != nil {
		t.Fatal(err)
	}
	remember(t, link)
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 || fileText(t, filepath.Join(dir, "behind")) != want {
		t.Errorf("through a link: %v, %v", info, err)
	}
	if how := remember(t, "/dev/null"); !strings.Contains(how, "is accepted") {
		t.Errorf("with /dev/null: %s", how)
	}
	if how := remember(t, filepath.Join(dir, "behind", "no", "file")); !strings.Contains(how, "could not be written down") {
		t.Errorf("where nothing can be written: %s", how)
	}
}

func TestSplitArguments(t *testing.T) {
	for line, want := range map[string][]string{
		"":                      nil,
		"  a\tb  ":              {"a", "b"},
		`a "b c" 'd "e'`:        {"a", "b c", `d "e`},
		`x"y z"w`:               {"xy zw"},
		`a\ b \\ \" \n "c\ d"`:  {"a b", `\`, `"`, `\n`, `c\ d`},
		`"" ''`:                 {"", ""},
		`echo $HOME # | > file`: {"echo", "$HOME", "#", "|", ">", "file"},
	} {
		got, err := splitArguments(line)
		if err != nil || strings.Join(got, "\x00") != strings.Join(want, "\x00") || len(got) != len(want) {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
	for _, line := range []string{`"`, `a 'b`, `'\'`} {
		if got, err := splitArguments(line); err == nil {
			t.Errorf("%q: %q", line, got)
		}
	}
}
