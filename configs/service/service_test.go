package service

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"howett.net/plist"
)

// hostile is a directory name with everything that a unit or a property list gives a meaning to.
const hostile = `a b%h$HOME"'\n;<&>#{é}`

func example(dir string) Options {
	return Options{
		Program: strings.Map(withoutQuotes, dir) + "/brokerd", StateDir: dir + "/state", Socket: dir + "/s.sock", Config: dir + "/c.toml", SSHConfig: "none",
		Environment: []string{"XDG_CONFIG_HOME=" + dir},
	}
}

// withoutQuotes drops what systemd refuses in a program's path, and Render with it.
func withoutQuotes(r rune) rune {
	if strings.ContainsRune("\"'\\", r) {
		return -1
	}
	return r
}

func render(t *testing.T, m Manager, o Options) File {
	t.Helper()
	files, err := Render(m, o)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v: %d files, %v", m, len(files), err)
	}
	return files[0]
}

// TestUnitPassesVerify asks systemd itself, also about the program's path, which it looks up.
func TestUnitPassesVerify(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze: apt install systemd")
	}
	for name, sub := range map[string]string{"plain": "debugbroker", "hostile": hostile} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), sub)
			o := example(dir)
			if err := os.MkdirAll(filepath.Dir(o.Program), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(o.Program, []byte("#!/bin/sh\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			if out := verify(t, analyze, render(t, Systemd, o)); out != "" {
				t.Errorf("systemd-analyze verify says:\n%s\nof:\n%s", out, render(t, Systemd, o).Content)
			}
			if err := os.Remove(o.Program); err != nil {
				t.Fatal(err)
			}
			if out := verify(t, analyze, render(t, Systemd, o)); !strings.Contains(out, o.Program) {
				t.Errorf("without the program, systemd-analyze verify does not miss %s:\n%s", o.Program, out)
			}
		})
	}
}

// verify returns what systemd-analyze complains about.
func verify(t *testing.T, analyze string, f File) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, f.Name)
	if err := os.WriteFile(path, f.Content, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, analyze, "--user", "--man=no", "--recursive-errors=no", "verify", path)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "HOME="+dir, "XDG_CONFIG_HOME="+dir, "SYSTEMD_LOG_LEVEL=warning", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("systemd-analyze verify: %v", err)
	}
	return string(out)
}

func TestAgentIsAPropertyList(t *testing.T) {
	for _, dir := range []string{"/Users/ann/debugbroker", "/Users/ann/" + hostile} {
		o := example(dir)
		var got map[string]any
		if _, err := plist.Unmarshal(render(t, Launchd, o).Content, &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"Label": Label,
			"ProgramArguments": []any{o.Program, "--service", "launchd", "--state-dir", o.StateDir, "--socket", o.Socket,
				"--config", o.Config, "--ssh-config", "none"},
			"EnvironmentVariables": map[string]any{"XDG_CONFIG_HOME": dir},
			"WorkingDirectory":     "/", "Umask": uint64(0o077), "RunAtLoad": true, "KeepAlive": map[string]any{"SuccessfulExit": false},
			"ExitTimeOut": uint64(40), "AbandonProcessGroup": true, "ProcessType": "Interactive", "StandardErrorPath": o.StateDir + "/brokerd.stderr",
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v\nwant\n%v", got, want)
		}
	}
}

// brokerctl finds out whose daemon a service is, and that a file is not ours to overwrite.
func TestSocketIsReadBack(t *testing.T) {
	for _, m := range []Manager{Systemd, Launchd} {
		o := example("/home/ann/" + hostile)
		if got, ours := Socket(m, render(t, m, o).Content); !ours || got != o.Socket {
			t.Errorf("%s: %q, %v", m, got, ours)
		}
		for _, foreign := range []string{"", "[Service]\nExecStart=/usr/bin/brokerd\n", "<plist><dict><key>Label</key><string>x</string></dict></plist>", "<plist"} {
			if got, ours := Socket(m, []byte(foreign)); ours {
				t.Errorf("%s takes %q for ours: %q", m, foreign, got)
			}
		}
	}
}

func TestOnlyWhatIsAskedForIsPassed(t *testing.T) {
	o := Options{Program: "/usr/bin/brokerd", StateDir: "/s", Socket: "/s/broker.sock"}
	unit, agent := string(render(t, Systemd, o).Content), string(render(t, Launchd, o).Content)
	if want := "\nExecStart=/usr/bin/brokerd --service systemd --state-dir /s --socket /s/broker.sock\nWorkingDirectory"; !strings.Contains(unit, want) {
		t.Errorf("no %q in\n%s", want, unit)
	}
	for _, s := range []string{"--config", "--ssh-config", "EnvironmentVariables", "Environment="} {
		if strings.Contains(unit+agent, s) {
			t.Errorf("%s, and nobody asked for it:\n%s%s", s, unit, agent)
		}
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"line break":         func(o *Options) { o.StateDir = "/a\nExecStartPre=/bin/evil" },
		"escape":             func(o *Options) { o.SSHConfig = "/a\x1b" },
		"not UTF-8":          func(o *Options) { o.Socket = "/a\xff" },
		"relative":           func(o *Options) { o.Program = "brokerd" },
		"no socket":          func(o *Options) { o.Socket = "" },
		"variable unnamed":   func(o *Options) { o.Environment = []string{"=x"} },
		"variable's newline": func(o *Options) { o.Environment = []string{"X=a\nb"} },
	} {
		o := example("/home/ann")
		change(&o)
		for _, m := range []Manager{Systemd, Launchd} {
			if files, err := Render(m, o); err == nil {
				t.Errorf("%s: written as\n%s", name, files[0].Content)
			}
		}
	}
	for _, s := range []string{`"`, `'`, `\`} {
		o := example("/home/ann")
		o.Program = "/home/ann" + s + "/brokerd"
		if _, err := Render(Systemd, o); err == nil {
			t.Errorf("a program that systemd refuses: %s", o.Program)
		}
		if _, err := Render(Launchd, o); err != nil {
			t.Error(err)
		}
	}
	if _, err := Render("openrc", example("/home/ann")); err == nil {
		t.Error("an unknown manager got files")
	}
}
