package adapters

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/integration/executable"
)

func TestDelveProbeKinds(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	must(t, "root", err)
	odd := "od'd \"dir\"\n$(touch pwned) é"
	for name, mode := range map[string]os.FileMode{
		"bin/dlv": 0o755, "app": 0o755, "data": 0o644, "main.go": 0o644, filepath.Join(odd, "app"): 0o755, filepath.Join(odd, "x.go"): 0o644, "home/go/bin/go": 0o755,
	} {
		p := filepath.Join(root, name)
		must(t, "mkdir", os.MkdirAll(filepath.Dir(p), 0o755))
		must(t, "write", os.WriteFile(p, nil, mode))
	}
	for _, shell := range shells(t) {
		for name, c := range map[string]struct {
			program, cwd, local string
			want                map[string]string
		}{
			"absolute":      {program: root + "/app", want: map[string]string{"kind": "exe", "dir": root, "name": "app", "cwd": root + "/home"}},
			"relative":      {program: "./app", local: root, want: map[string]string{"kind": "exe", "dir": root, "cwd": root}},
			"bare":          {program: "app", cwd: root, want: map[string]string{"kind": "exe", "dir": root, "cwd": root}},
			"not there":     {program: "app", local: root + "/elsewhere", want: map[string]string{"kind": "none", "cwd": root + "/home"}},
			"no cwd":        {program: "app", cwd: root + "/elsewhere", want: map[string]string{"cwd_missing": root + "/elsewhere"}},
			"directory":     {program: ".", local: root, want: map[string]string{"kind": "dir", "dir": root}},
			"file":          {program: "main.go", local: root, want: map[string]string{"kind": "gofile", "dir": root, "name": "main.go"}},
			"data":          {program: "data", local: root, want: map[string]string{"kind": "noexec"}},
			"odd executed":  {program: odd + "/app", local: root, want: map[string]string{"kind": "exe", "dir": root + "/" + odd, "name": "app"}},
			"odd cwd":       {program: "x.go", cwd: root + "/" + odd, want: map[string]string{"kind": "gofile", "dir": root + "/" + odd, "cwd": root + "/" + odd}},
			"odd directory": {program: odd, local: root, want: map[string]string{"kind": "dir", "dir": root + "/" + odd}},
			"dash":          {program: "-n", local: root, want: map[string]string{"kind": "none"}},
			"tools":         {program: "app", want: map[string]string{"dlv": root + "/bin/dlv", "go": root + "/home/go/bin/go", "go_on_path": ""}},
		} {
			t.Run(filepath.Base(shell)+"/"+name, func(t *testing.T) {
				req := probed(t, NewDelve(), Request{
					Mode: Launch, Program: []string{c.program}, Cwd: c.cwd, LocalCwd: c.local,
					Host: Host{OS: "linux", Home: root + "/home", Path: root + "/bin:/usr/bin:/bin"},
				}, shell)
				got := parseFacts(req.Facts[delveProbe])
				for key, want := range c.want {
					if is := got.first(key); is != want && (key != "go" || !strings.HasPrefix(is, "/usr/")) {
						t.Errorf("%s is %q, want %q (%q)", key, is, want, got)
					}
				}
			})
		}
	}
	for _, dir := range []string{".", root, root + "/home", root + "/" + odd} {
		if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
			t.Error("a name was carried out as a command")
		}
	}
}

func TestNodeProbeFindsTheNewestOfNVM(t *testing.T) {
	home := t.TempDir()
	for _, v := range []string{"v8.17.0", "v20.9.0", "v20.10.1", "v18.20.0"} {
		p := filepath.Join(home, ".nvm/versions/node", v, "bin/node")
		must(t, "mkdir", os.MkdirAll(filepath.Dir(p), 0o755))
		executable.Write(t, p, []byte("#!/bin/sh\necho "+v+"\n"))
	}
	tools := t.TempDir() // a PATH without node
	for _, name := range []string{"sort", "tail"} {
		p, err := exec.LookPath(name)
		must(t, "tool", err)
		must(t, "link", os.Symlink(p, filepath.Join(tools, name)))
	}
	for _, shell := range shells(t) {
		req := probed(t, NewNode(), Request{Mode: Launch, Program: []string{"-e", "1"}, Host: Host{OS: "linux", Home: home, Path: tools}}, shell)
		got := parseFacts(req.Facts[nodeProbe])
		if want := filepath.Join(home, ".nvm/versions/node/v20.10.1/bin/node"); got.first("node") != want || got.first("version") != "v20.10.1" {
			t.Errorf("%s: %q", shell, got)
		}
	}
}

// What the configuration names is tried first, and what is there serves where that is not; what the user names is tried alone.
func TestProbesTakeTheConfiguredTool(t *testing.T) {
	t.Setenv("JAVA_HOME", "")
	home := t.TempDir()
	tool := func(name string) string {
		p := filepath.Join(home, name)
		must(t, "mkdir", os.MkdirAll(filepath.Dir(p), 0o755))
		executable.Write(t, p, []byte("#!/bin/sh\n"))
		return p
	}
	for fact, c := range map[string]struct {
		a   Adapter
		key string
	}{"dlv": {NewDelve(), delveProbe}, "node": {NewNode(), nodeProbe}, "java": {NewJDWP(), javaProbe}} {
		found, configured, named := tool("path/"+fact), tool("configured/"+fact), tool("named/"+fact)
		for _, tt := range []struct {
			interpreter string
			configured  []string
			want        string
		}{
			{"", nil, found}, {"", []string{configured}, configured}, {"", []string{"~/configured/" + fact}, configured}, {"", []string{"/nope"}, found},
			{named, []string{configured}, named}, {"/nope", []string{configured}, ""},
		} {
			req := probed(t, c.a, Request{
				Program: []string{"-x"}, Interpreter: tt.interpreter, Interpreters: tt.configured,
				Host: Host{OS: "linux", Home: home, Path: home + "/path:/usr/bin:/bin"},
			}, "/bin/sh")
			if got := parseFacts(req.Facts[c.key]).first(fact); got != tt.want {
				t.Errorf("%s, --interpreter %q, configured %q: %q, want %q", fact, tt.interpreter, tt.configured, got, tt.want)
			}
		}
	}
}
