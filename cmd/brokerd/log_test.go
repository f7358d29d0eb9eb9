package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

func stderrFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestUnderManager(t *testing.T) {
	stderr := stderrFile(t)
	pid := fmt.Sprint(os.Getpid())
	for _, tt := range []struct {
		name string
		env  map[string]string
		want bool
	}{
		{"a shell", nil, false},
		{"systemd, journal", map[string]string{"JOURNAL_STREAM": streamID(stderr), "INVOCATION_ID": "abc"}, true},
		{"below a service, stderr is another", map[string]string{"JOURNAL_STREAM": "9:9", "INVOCATION_ID": "abc", "SYSTEMD_EXEC_PID": "1"}, false},
		{"systemd, stderr is a file", map[string]string{"INVOCATION_ID": "abc", "SYSTEMD_EXEC_PID": pid}, true},
		{"below such a service", map[string]string{"INVOCATION_ID": "abc", "SYSTEMD_EXEC_PID": "1"}, false},
		{"below an old systemd's", map[string]string{"INVOCATION_ID": "abc"}, false},
		{"launchd", map[string]string{"XPC_SERVICE_NAME": "io.github.debugbroker"}, true},
		{"macOS terminal", map[string]string{"XPC_SERVICE_NAME": "0"}, false},
		{"macOS application", map[string]string{"XPC_SERVICE_NAME": "application.com.microsoft.VSCode.1.2"}, false},
	} {
		if got := underManager(func(k string) string { return tt.env[k] }, stderr); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestLogWhere(t *testing.T) {
	for _, tt := range []struct {
		name       string
		foreground bool
		env        map[string]string
		toFile     bool
	}{
		{"background", false, nil, true},
		{"foreground", true, nil, false},
		{"launchd", false, map[string]string{"XPC_SERVICE_NAME": "x.y"}, false},
	} {
		dir, stderr := t.TempDir(), stderrFile(t)
		log, closer, err := newLogger(logOptions{StateDir: dir, Level: "info", JSON: true, Foreground: tt.foreground, Stderr: stderr,
			Getenv: func(k string) string { return tt.env[k] }})
		if err != nil {
			t.Fatal(err)
		}
		log.Info("hello", "session", "k3f9x2")
		log.Debug("too fine")
		if err := closer.Close(); err != nil {
			t.Error(err)
		}
		file, _ := os.ReadFile(filepath.Join(dir, api.LogName))
		printed, _ := os.ReadFile(stderr.Name())
		got, other := printed, file
		if tt.toFile {
			got, other = file, printed
		}
		var line map[string]any
		if err := json.Unmarshal(got, &line); err != nil || line["@message"] != "hello" || line["session"] != "k3f9x2" {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
		if len(other) != 0 {
			t.Errorf("%s: written elsewhere: %q", tt.name, other)
		}
	}
}

func TestLogFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, api.LogName)
	if err := os.WriteFile(path, []byte("earlier\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	log, closer, err := newLogger(logOptions{StateDir: dir, Level: "warn", Stderr: stderrFile(t), Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	log.Warn("later")
	if err := closer.Close(); err != nil {
		t.Error(err)
	}
	b, _ := os.ReadFile(path)
	if !strings.HasPrefix(string(b), "earlier\n") || !strings.Contains(string(b), "[WARN]  brokerd: later") {
		t.Errorf("log: %q", b)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// TestLogBounded writes more than the log may take and waits for what is too much to go.
func TestLogBounded(t *testing.T) {
	dir := t.TempDir()
	log, closer, err := newLogger(logOptions{StateDir: dir, Level: "info", Stderr: stderrFile(t), Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	megabyte := strings.Repeat("x", 1<<20)
	for range logMegabytes * (logBackups + 3) {
		log.Info(megabyte)
	}
	// lumberjack removes old files in a goroutine of its own and tells nobody.
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		var size int64
		names, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, n := range names {
			info, err := os.Stat(n)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil || info.Mode().Perm() != 0o600 || info.Size() > logMegabytes<<20 {
				t.Fatalf("%s: %v %v", n, info, err)
			}
			size += info.Size()
		}
		if len(names) <= logBackups+1 && size <= logMegabytes<<20*(logBackups+1) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d bytes in %v", size, names)
		}
	}
}

func TestLogRefused(t *testing.T) {
	quiet := func(string) string { return "" }
	dir := t.TempDir()
	path, target := filepath.Join(dir, api.LogName), filepath.Join(dir, "target")
	for what, make := range map[string]func() error{
		"link":      func() error { return os.Symlink(target, path) },
		"pipe":      func() error { return syscall.Mkfifo(path, 0o600) },
		"directory": func() error { return os.Mkdir(path, 0o700) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		_, _, err := newLogger(logOptions{StateDir: dir, Level: "info", Stderr: stderrFile(t), Getenv: quiet})
		wantAPIError(t, err, api.CodeDaemon, "log "+path+" is not a file", "move it away")
		if _, err := os.Lstat(target); err == nil {
			t.Errorf("%s: followed", what)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := newLogger(logOptions{StateDir: dir, Level: "loud", Stderr: stderrFile(t), Getenv: quiet})
	wantAPIError(t, err, api.CodeConfig, "loud", "debug")
	if _, _, err := newLogger(logOptions{StateDir: filepath.Join(dir, "none"), Level: "info", Stderr: stderrFile(t), Getenv: quiet}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}
