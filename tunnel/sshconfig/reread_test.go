package sshconfig

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// atHome resolves without ssh, by the files of a home and of a system that may not be there yet.
func atHome(t testing.TB) (r *Resolver, home, system string) {
	t.Helper()
	home, system = t.TempDir(), filepath.Join(t.TempDir(), "ssh_config")
	r = without("")
	r.user.home, r.from = home, sources{home: home, system: system}
	return r, home, system
}

func resolved(t testing.TB, r *Resolver, host string) string {
	t.Helper()
	target, err := r.Resolve(t.Context(), host, nil)
	if err != nil {
		t.Fatal(err)
	}
	return brief(target)
}

// age gives a file a time of long ago, so that only what is tested tells that it has changed.
func age(t testing.TB, path string) {
	t.Helper()
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
}

// Whatever appears, goes or changes among the files counts for the next question.
func TestReread(t *testing.T) {
	r, home, system := atHome(t)
	me := currentAccount().name
	check := func(step, want string) {
		t.Helper()
		if got := resolved(t, r, "web1"); got != want {
			t.Errorf("%s: %s, want %s", step, got, want)
		}
	}
	dir := filepath.Join(home, ".ssh")
	config, included := filepath.Join(dir, "config"), filepath.Join(dir, "conf.d", "a")
	check("no ~/.ssh", me+"@web1:22")
	if err := os.MkdirAll(filepath.Dir(included), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, config, "Include conf.d/*\nUser bob\n")
	age(t, config)
	check("a configuration", "bob@web1:22")
	writeFile(t, included, "User ann\n")
	age(t, included)
	check("a file that a pattern finds", "ann@web1:22")
	writeFile(t, system, "Port 5\nUser system\n")
	age(t, system)
	check("the system's", "ann@web1:5")
	fresh := included + ".new"
	writeFile(t, fresh, "User eve\n") // of the same size and time: a package manager's
	age(t, fresh)
	if err := os.Rename(fresh, included); err != nil {
		t.Fatal(err)
	}
	check("another file in its place", "eve@web1:5")
	if err := os.Remove(included); err != nil {
		t.Fatal(err)
	}
	check("it is gone", "bob@web1:5")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	check("all is gone", "system@web1:5")
}

// A file that has only just changed may change again within one tick of its clock, and is not relied on.
func TestYoungFiles(t *testing.T) {
	file := configFile(t, "User ann\n")
	now := time.Now()
	from := sources{file: file}
	if !stampConfig(from).young(now) {
		t.Error("a file of just now is relied on")
	}
	age(t, file)
	if stampConfig(from).young(now) {
		t.Error("a file of an hour ago is not relied on")
	}
}

func TestAnswersAreBounded(t *testing.T) {
	r, _, _ := atHome(t)
	for i := range 3 * maxCached {
		resolved(t, r, "h"+strings.Repeat("x", i%200)+string(rune('a'+i/200)))
	}
	if n := len(r.answers); n > maxCached {
		t.Errorf("%d answers are kept", n)
	}
}

// Match exec is run by the user's shell, in the environment of whoever asks, with nothing of ours on its input and output, and is bounded.
func TestMatchExecWithoutSSH(t *testing.T) {
	shell := filepath.Join(t.TempDir(), "shell")
	script := "#!/bin/sh\n[ \"$1\" = -c ] || exit 9\nread x && exit 8\necho noise\n[ \"$2\" = 'ask web1 %' ] && [ \"$WHO\" = me ]\n"
	if err := os.WriteFile(shell, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	file := configFile(t, "Match exec \"ask %h %%\"\n User bob\nMatch exec \"other\"\n Port 5\n")
	target, err := without(file).Resolve(t.Context(), "web1", append(os.Environ(), "SHELL="+shell, "WHO=me"))
	if err != nil || brief(target) != "bob@web1:22" {
		t.Errorf("%s, %v", brief(target), err)
	}

	file = configFile(t, "Match exec \"sleep 600 & sleep 600\"\n User x\n")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := without(file).Resolve(ctx, "web1", nil); err == nil || time.Since(began) > askTimeout {
		t.Errorf("a Match exec that hangs: %v after %s", err, time.Since(began))
	}
}
