package adapters

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An interpreter named relative to the directory is not run where another user may have put it there: into /tmp, or, since root looks
// into a program of theirs, into their own directory.
func TestDebugpyProbeForeign(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	const other = 54321
	root := t.TempDir()
	made := func(name string, owner, venvOwner int) string {
		dir := filepath.Join(root, name)
		fakePython(t, dir+"/.venv/bin/python", ": >'"+root+"/"+name+".ran'\n"+withDebugpy)
		for file, uid := range map[string]int{dir: owner, dir + "/.venv": venvOwner} {
			must(t, "give away", os.Chown(file, uid, -1))
		}
		return dir
	}
	good := fakePython(t, filepath.Join(root, "bin/python3"), withDebugpy)
	host := Host{OS: "linux", Home: root, Path: filepath.Dir(good) + ":/usr/bin:/bin"}
	attach := func(dir string) Request {
		return Request{Mode: Attach, Host: host, Target: Running{PID: 1 << 30, UID: other, Cwd: dir, Argv: []string{"python3"}}}
	}
	launch := func(dir string) Request {
		return Request{Host: host, Program: []string{"app.py"}, Cwd: dir}
	}
	named := func(interpreter string, r Request) Request { r.Interpreter = interpreter; return r }
	for _, sh := range shells(t) {
		for name, test := range map[string]struct {
			req Request
			own bool
		}{
			"planted": {launch(made("planted", 0, other)), false},
			"planted, configured": {func() Request {
				r := launch(made("configured", 0, other))
				r.Interpreters = []string{"./.venv/bin/python"}
				return r
			}(), false},
			"all of it theirs":  {launch(made("theirs", other, other)), true},
			"ours":              {launch(made("ours", other, 0)), true},
			"program of theirs": {attach(made("program", other, other)), false},
			"ours at theirs":    {attach(made("both", other, 0)), true},
			"planted, named":    {named(".venv/bin/python", attach(made("named", other, other))), false},
		} {
			t.Run(sh+"/"+name, func(t *testing.T) {
				dir := test.req.Cwd + test.req.Target.Cwd
				f := parseFacts(probed(t, NewDebugpy(), test.req, sh).Facts[debugpyKey])
				python := dir + "/.venv/bin/python"
				want := map[bool]string{true: python, false: good}[test.own]
				if test.req.Interpreter != "" {
					want = ""
				}
				if got := f.first("interpreter"); got != want {
					t.Errorf("interpreter %q, want %q; tried %q", got, want, f["tried"])
				}
				if _, err := os.Stat(dir + ".ran"); (err == nil) != test.own {
					t.Errorf("was run: %v", err == nil)
				}
				if said := interpreterRefusal("", f["tried"]).Error(); !test.own && !strings.Contains(said, python+" was not run, since another user has put it there") {
					t.Error(said)
				}
			})
		}
	}
}
