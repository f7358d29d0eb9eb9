package adapters

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/integration/executable"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// fakePython writes an interpreter that answers the probe's question as told, and leaves a mark each time it runs.
func fakePython(t *testing.T, file, script string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	executable.Write(t, file, []byte("#!/bin/sh\n"+script+"\n"))
	return file
}

const (
	withDebugpy    = `echo banner; echo; echo DBG:3.12.1:1.8.2:found`
	withoutDebugpy = `echo "ERR:ModuleNotFoundError: No module named 'debugpy'"`
	brokenPython   = `echo oops >&2; exit 3`
)

func write(t *testing.T, file string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("print('ran')\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDebugpyProbeInterpreter(t *testing.T) {
	for _, sh := range shells(t) {
		t.Run(sh, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "it's a\nroot: ü")
			home := filepath.Join(root, "home")
			bare := fakePython(t, filepath.Join(root, "one/python3"), withoutDebugpy)
			broken := fakePython(t, filepath.Join(root, "one/python"), brokenPython)
			good := fakePython(t, filepath.Join(root, "two/python"), withDebugpy)
			named := fakePython(t, filepath.Join(root, "two/python3.12"), withDebugpy)
			venv := fakePython(t, filepath.Join(root, "project/.venv/bin/python"), withDebugpy)
			tilde := fakePython(t, filepath.Join(home, "py/bin/python"), withDebugpy)
			program := write(t, filepath.Join(root, "project/app.py"))
			plain := write(t, filepath.Join(home, "app.py"))
			// A PATH cannot name a directory with a colon in it: reach them by a link.
			one, two := filepath.Join(t.TempDir(), "1"), filepath.Join(t.TempDir(), "2 ü")
			for link, to := range map[string]string{one: "one", two: "two"} {
				if err := os.Symlink(filepath.Join(root, to), link); err != nil {
					t.Fatal(err)
				}
			}
			onPath := func(s string) string {
				return strings.NewReplacer(filepath.Join(root, "one"), one, filepath.Join(root, "two"), two).Replace(s)
			}
			path := "rel:" + one + "/:" + one + "::" + two + ":/nowhere"
			tests := []struct {
				name  string
				req   Request
				want  string
				tried []string
			}{
				{"PATH", Request{Program: []string{plain}}, onPath(good), []string{"no_debugpy " + onPath(bare), "broken " + onPath(broken) + ": exit status 3"}},
				{"venv", Request{Program: []string{program}}, venv, nil},
				{"config", Request{Program: []string{program}, Interpreters: []string{"/no/such", bare, "~/py/bin/python"}}, tilde, []string{"absent /no/such", "no_debugpy " + bare}},
				{"config by name", Request{Program: []string{program}, Interpreters: []string{"python3.12"}}, onPath(named), nil},
				{"given", Request{Program: []string{program}, Interpreter: bare, Interpreters: []string{good}}, "", []string{"no_debugpy " + bare}},
				{"given by name", Request{Program: []string{program}, Interpreter: "python3.12"}, onPath(named), nil},
				{"given from cwd", Request{Program: []string{program}, Interpreter: ".venv/bin/python"}, venv, nil},
				{"given, absent", Request{Program: []string{program}, Interpreter: "python2.2"}, "", []string{"absent python2.2"}},
				{"env PATH", Request{Program: []string{plain}, Env: []string{"PATH=" + two}}, onPath(good), nil},
			}
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					test.req.Host = Host{Home: home, Path: path}
					f := parseFacts(probed(t, NewDebugpy(), test.req, sh).Facts[debugpyKey])
					if f.first("interpreter") != test.want || !slices.Equal(f["tried"], test.tried) {
						t.Errorf("%q after %q, want %q after %q", f.first("interpreter"), f["tried"], test.want, test.tried)
					}
				})
			}
		})
	}
}

func TestDebugpyProbeDirectory(t *testing.T) {
	root := filepath.Join(t.TempDir(), "new\nline")
	home := filepath.Join(root, "home")
	python := fakePython(t, filepath.Join(root, "python3"), withDebugpy)
	app := write(t, filepath.Join(root, "project/app.py"))
	write(t, filepath.Join(home, "-x.py"))
	write(t, filepath.Join(root, "tree/__main__.py"))
	for _, sh := range shells(t) {
		tests := []struct {
			req          Request
			cwd, program string
		}{
			{Request{Program: []string{"app.py"}, Cwd: root + "/project"}, root + "/project", "found"},
			{Request{Program: []string{"app.py"}, LocalCwd: root + "/project"}, root + "/project", "found"},
			{Request{Program: []string{"app.py"}, LocalCwd: "/no/such"}, home, "missing"},
			{Request{Program: []string{app}, LocalCwd: "/no/such"}, root + "/project", "found"},
			{Request{Program: []string{"./-x.py"}}, home, "found"},
			{Request{Program: []string{"./-x.py"}, Cwd: "~"}, home, "found"},
			{Request{Program: []string{"../tree"}, Cwd: "~/"}, home, "found"},
			{Request{Program: []string{"../project"}, Cwd: "."}, home, "no_main"},
			{Request{Program: []string{"-m", "app"}}, home, ""},
			{Request{Program: []string{"app.py"}, Cwd: "no/such"}, "", ""},
		}
		for i, test := range tests {
			t.Run(fmt.Sprint(sh, i), func(t *testing.T) {
				test.req.Interpreter = python
				test.req.Host.Home = home
				f := parseFacts(probed(t, NewDebugpy(), test.req, sh).Facts[debugpyKey])
				if f.first("cwd") != test.cwd || f.first("program") != test.program {
					t.Errorf("%q in %q, want %q in %q", f.first("program"), f.first("cwd"), test.program, test.cwd)
				}
				if test.cwd == "" && f.first("cwd_missing") == "" {
					t.Error("does not say what is missing")
				}
			})
		}
	}
}

// The real interpreter finds modules without running anything of the user's, and writes nothing.
func TestDebugpyProbeModule(t *testing.T) {
	python := tools.Need(t, tools.Python)
	dir := t.TempDir()
	for _, name := range []string{"mod.py", "debugpy.py", "json.py", "pkg/__init__.py"} {
		write(t, filepath.Join(dir, name))
	}
	for module, want := range map[string]string{"mod": "found", "pkg.sub": "found", "json.tool": "found", "nope": "missing", "nope.sub": "missing"} {
		r := Request{Program: []string{"-m", module}, Cwd: dir, Interpreter: python, Host: Host{Home: dir}}
		answer := probed(t, NewDebugpy(), r, "/bin/sh").Facts[debugpyKey]
		f := parseFacts(answer)
		if f.first("module") != want || f.first("debugpy") == "" || strings.Contains(answer, "ran") {
			t.Errorf("%s: %q, want %q", module, answer, want)
		}
	}
	if caches, _ := filepath.Glob(filepath.Join(dir, "*", "__pycache__")); caches != nil {
		t.Errorf("left %q", caches)
	}
	if _, err := os.Stat(filepath.Join(dir, "__pycache__")); err == nil {
		t.Error("left __pycache__")
	}
}

// An interpreter that hangs is given up.
func TestDebugpyProbeSlowInterpreter(t *testing.T) {
	tools.NeedShell(t, "timeout")
	dir := t.TempDir()
	slow := fakePython(t, filepath.Join(dir, "slow/python3"), "exec sleep 60")
	r := Request{Program: []string{"-m", "mod"}, Interpreter: slow, Host: Host{Home: dir}}
	f := parseFacts(probed(t, NewDebugpy(), r, "/bin/sh").Facts[debugpyKey])
	if want := []string{"slow " + slow}; !slices.Equal(f["tried"], want) {
		t.Errorf("%q, want %q", f["tried"], want)
	}
}
