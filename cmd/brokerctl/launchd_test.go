package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs/service"
	"github.com/debugbroker/debugbroker/integration/executable"
)

// fakeLaunchctl stands for launchctl, which only macOS has: one job, whose existence is a file. bootout is done a while after it
// has answered, as the real one's is.
const fakeLaunchctl = `#!/bin/sh
echo "$*" >>"$FAKE/calls"
case $1 in
print)
	[ "$2" = gui/501 ] && { [ ! -e "$FAKE/nobody" ] || { echo 'Could not find domain for' >&2; exit 113; }; exit; }
	if [ -e "$FAKE/leaving" ]; then
		echo >>"$FAKE/leaving"
		[ "$(wc -l <"$FAKE/leaving")" -lt 3 ] || rm "$FAKE/job" "$FAKE/leaving"
	fi
	[ -e "$FAKE/job" ] || { echo 'Could not find service' >&2; exit 113; }
	printf 'gui/501/job = {\n\tactive count = 1\n\tstate = running\n\n\tprogram = x\n\tpid = %s\n}\n' "$(cat "$FAKE/job")"
	;;
bootout) : >"$FAKE/leaving"; exit 36 ;;
bootstrap)
	[ ! -e "$FAKE/job" ] || { echo 'Bootstrap failed: 37: Operation already in progress' >&2; exit 37; }
	echo "$PPID" >"$FAKE/job"
	;;
esac
`

func TestLaunchd(t *testing.T) {
	dir := t.TempDir()
	executable.Write(t, filepath.Join(dir, "launchctl"), []byte(fakeLaunchctl))
	t.Setenv("FAKE", dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	home := filepath.Join(dir, "home")
	l := launchd{env: func(name string) string { return map[string]string{"HOME": home}[name] }, uid: 501}
	file, err := l.file()
	if err != nil || file != filepath.Join(home, "Library/LaunchAgents/com.github.debugbroker.brokerd.plist") {
		t.Fatalf("%s, %v", file, err)
	}
	ctx := t.Context()
	state := func(want managed) {
		t.Helper()
		if got, err := l.state(ctx); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	calls := func(want ...string) {
		t.Helper()
		path := filepath.Join(dir, "calls")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "print ") {
				got = append(got, line)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("launchctl was called as\n%q\nwant\n%q", got, want)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	const job = "gui/501/" + service.Label

	state(managed{active: "inactive"})
	if err := l.load(ctx, file); err != nil {
		t.Fatal(err)
	}
	state(managed{enabled: true, active: "active", pid: os.Getpid()})
	calls("enable "+job, "bootstrap gui/501 "+file)

	// Anew: only once the job is gone.
	if err := l.load(ctx, file); err != nil {
		t.Fatal(err)
	}
	if err := l.start(ctx); err != nil {
		t.Fatal(err)
	}
	calls("bootout "+job, "enable "+job, "bootstrap gui/501 "+file, "kickstart "+job)

	removed := 0
	remove := func() error { removed++; return nil }
	for range 2 {
		if err := l.unload(ctx, remove); err != nil {
			t.Fatal(err)
		}
	}
	state(managed{active: "inactive"})
	calls("bootout " + job)

	// Nobody at the screen: nothing can be started, and the file can be removed.
	if err := os.WriteFile(filepath.Join(dir, "nobody"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e, ok := l.reach(ctx).(*api.Error)
	if !ok || !strings.HasPrefix(e.Message, "launchd does not answer: launchctl print gui/501: Could not find domain") || !strings.Contains(e.Hint, "no service is needed") {
		t.Errorf("no domain: %v", e)
	}
	if err := l.unload(ctx, remove); err != nil || removed != 3 {
		t.Errorf("without a domain: %v, removed %d times", err, removed)
	}
}

func TestServiceFileIsReplacedWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a/b", service.Unit)
	for _, text := range []string{"one", "two"} {
		if err := writeServiceFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("%q, %v", b, err)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left beside it: %v, %v", entries, err)
	}
}
