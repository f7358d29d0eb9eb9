package configs

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write invalid/*.want anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDefault(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	c, problems := parse(nil, "/h")
	if len(problems) > 0 || !reflect.DeepEqual(c, Default()) {
		t.Errorf("an empty file: %+v, %v", c, problems)
	}
}

func TestSamples(t *testing.T) {
	names, _ := filepath.Glob("samples/*.toml")
	if len(names) < 3 {
		t.Fatalf("samples: %v", names)
	}
	for _, name := range names {
		c, err := Load(name, true)
		if err != nil {
			t.Error(err)
		} else if reflect.DeepEqual(c, Default()) {
			t.Errorf("%s changes nothing", name)
		}
	}
}

// TestFull holds that the full sample has every key, and that each key arrives where it belongs.
func TestFull(t *testing.T) {
	data, err := os.ReadFile("samples/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	p, problems := parse(data, "/h")
	yes := true
	want := Config{
		SSHConfig: "/h/.ssh/config",
		Brokerd:   "/usr/local/bin/brokerd",
		LogLevel:  "info",
		Session:   Session{TTL: 8 * time.Hour, OpenTimeout: time.Minute},
		Python:    Python{Interpreters: []string{"/opt/venv/bin/python"}},
		Go:        Go{Dlv: "/opt/go/bin/dlv"},
		Node:      Node{Node: "/opt/node/bin/node"},
		Java:      Java{Java: "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"},
		Forwards: []Forward{
			{Line: 40, Name: "pg", Host: "web1", Local: "5432:db.internal:5432", SameUser: true},
			{Line: 50, Host: "web1", Remote: "9000:localhost:3000"},
			{Line: 54, Host: "web1", Socks: "1080"},
		},
		Hosts: []Host{{Line: 59, Match: "web*", SSHForwards: &yes, ForwardAgent: &yes}},
	}
	if len(problems) > 0 || !reflect.DeepEqual(p, want) {
		t.Errorf("%+v, %v", p, problems)
	}
	fields := schema()
	for _, a := range arrays() {
		fields = append(fields, a.fields...)
	}
	for _, f := range fields {
		name := f.key[strings.LastIndex(f.key, ".")+1:]
		if !strings.Contains(string(data), "\n"+name+" = ") {
			t.Errorf("%s is not in the full sample", f.key)
		}
	}
}

func TestInvalid(t *testing.T) {
	names, _ := filepath.Glob("invalid/*.toml")
	if len(names) < 5 {
		t.Fatalf("invalid: %v", names)
	}
	for _, name := range names {
		_, err := Load(name, true)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := strings.ReplaceAll(err.Error(), filepath.FromSlash("invalid/"), "") + "\n"
		wantFile := strings.TrimSuffix(name, ".toml") + ".want"
		if *update {
			if err := os.WriteFile(wantFile, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(wantFile)
		if err != nil || got != string(want) {
			t.Errorf("%s (%v)\ngot:\n%swant:\n%s", name, err, got, want)
		}
	}
}

func TestLineEndingsAndMark(t *testing.T) {
	c, problems := parse([]byte("\xef\xbb\xbflog_level = \"warn\"\r\n[session]\r\nttl = \"1h\"\r\n"), "")
	if len(problems) > 0 || c.LogLevel != "warn" || c.Session.TTL != time.Hour {
		t.Errorf("%+v, %v", c, problems)
	}
	_, problems = parse([]byte("\xef\xbb\xbf\r\n\r\nnothing = 1\r\n"), "")
	if len(problems) != 1 || problems[0].Line != 3 {
		t.Errorf("%v", problems)
	}
}

func TestHome(t *testing.T) {
	c, problems := parse([]byte(`ssh_config = "~/c"`), "/h")
	if len(problems) > 0 || c.SSHConfig != "/h/c" {
		t.Errorf("%q, %v", c.SSHConfig, problems)
	}
	for data, home := range map[string]string{`ssh_config = "~/c"`: "", `brokerd = "~/b"`: "/h", `ssh_config = "~other/c"`: "/h"} {
		if _, problems := parse([]byte(data), home); len(problems) != 1 {
			t.Errorf("%s: %v", data, problems)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, content string, mode os.FileMode) {
		if err := errors.Join(os.WriteFile(path(name), []byte(content), mode), os.Chmod(path(name), mode)); err != nil {
			t.Fatal(err)
		}
	}
	write("good", "log_level = 'warn'\n", 0o644)
	write("large", strings.Repeat("# x\n", maxSize/4+1), 0o600)
	write("open", "", 0o666)
	write("theirs", "", 0o600)
	if err := errors.Join(os.Mkdir(path("directory"), 0o700), syscall.Mkfifo(path("pipe"), 0o600), os.Symlink("good", path("link"))); err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"good": "", "link": "",
		"large": "larger than 1024 KiB", "open": "chmod o-w", "directory": "is a directory", "pipe": "not a regular file",
		"none": "no such file", "good/none": "not a directory",
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path("theirs"), 65534, 65534); err != nil {
			t.Fatal(err)
		}
		// Root may read it, and it is neither root's nor ours.
		tests["theirs"] = "uid 65534"
	} else if err := os.Chmod(path("theirs"), 0); err == nil {
		tests["theirs"] = "permission denied"
	}
	for name, want := range tests {
		c, err := Load(path(name), true)
		switch {
		case want == "":
			if err != nil || c.LogLevel != "warn" {
				t.Errorf("%s: %+v, %v", name, c, err)
			}
		case err == nil || !strings.HasPrefix(err.Error(), path(name)+": ") || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), path(name)) != 1:
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if c, err := Load(path("none"), false); err != nil || !reflect.DeepEqual(c, Default()) {
		t.Errorf("no file by default: %+v, %v", c, err)
	}
	if _, err := Load(path("none"), true); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file where one was named: %v", err)
	}
	if _, err := Load(path("directory"), false); err == nil {
		t.Error("a directory by default was taken")
	}
}

func TestValidate(t *testing.T) {
	c := Default()
	c.Session.TTL, c.SSHConfig, c.LogLevel = time.Second, "rel", "debgu"
	c.Python.Interpreters = []string{"/ok", "", "a\x00"}
	var e *Error
	if err := c.Validate(); !errors.As(err, &e) || len(e.Problems) != 5 {
		t.Errorf("%v", err)
	}
}

func TestValidateArrays(t *testing.T) {
	c := Default()
	c.Forwards = []Forward{{Host: "web1", Local: "1:a:1"}, {Host: "web1"}, {Local: "1:a:1", Name: "a b"}}
	c.Hosts = []Host{{Match: "a b"}, {SSHForwards: new(bool)}}
	var e *Error
	if err := c.Validate(); !errors.As(err, &e) || len(e.Problems) != 5 {
		t.Errorf("%v", err)
	}
}

// TestHostOptions: the first that matches and says something counts.
func TestHostOptions(t *testing.T) {
	yes, no := true, false
	c := Config{Hosts: []Host{
		{Match: "web*"}, {Match: "web9", SSHForwards: &no}, {Match: "web?", SSHForwards: &yes}, {Match: "db", SSHForwards: &yes, ForwardAgent: &yes},
	}}
	for host, want := range map[string]bool{"web1": true, "web9": false, "me@web1": true, "web10": false, "db": true, "db1": false, "xdb": false, "": false} {
		if got := c.KeepsSSHForwards(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
		if got := c.ForwardsAgent(host); got != (host == "db") {
			t.Errorf("the agent for %q: %v", host, got)
		}
	}
}

func TestHostile(t *testing.T) {
	for _, data := range []string{
		"\"\\u001b]0;owned\\u0007\" = 1",
		"log_level = \"\\u001b[31m\"",
		"[\"\\u001b\"]",
		"brokerd = \"" + strings.Repeat("x", 10000) + "\"",
		strings.Repeat("x", 10000) + " = 1",
		"x = \x1b",
		strings.Repeat("a=", 1000),
		"python.interpreters = " + strings.Repeat("[", 20000),
		strings.Repeat("y = 1\n", 100000),
	} {
		_, problems := parse([]byte(data), "/h")
		text := (&Error{Path: "c", Problems: problems}).Error()
		if len(problems) == 0 || len(problems) > maxProblems+1 || strings.ContainsAny(text, "\x1b\x07\x00") || len(text) > 1000*(len(problems)) {
			t.Errorf("%.40q: %d problems, %.300q", data, len(problems), text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"samples/*.toml", "invalid/*.toml"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, problems := parse(data, "/h")
		if len(problems) == 0 {
			if err := c.Validate(); err != nil {
				t.Errorf("taken, and wrong: %v", err)
			}
			return
		}
		lines := strings.Count(string(data), "\n") + 1
		for _, p := range problems {
			if p.Line < 0 || p.Line > lines || p.Message == "" {
				t.Errorf("problem %+v of %d lines", p, lines)
			}
		}
	})
}
