package adapters

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// dump prints all that a program can see of how it was started, but for what differs between any two starts.
const dump = `import sys, os, threading, json
def fds():
    out = {}
    for fd in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            target = os.readlink("/proc/self/fd/" + fd)
        except OSError:
            continue  # the listing's own
        out[fd] = target.split(":")[0] + ("" if target.startswith("/") else ":")
    return out
def stack():
    import inspect
    return [(f.filename, f.function) for f in inspect.stack() if not f.filename.endswith("debugpy_launcher.py")]
main = sys.modules["__main__"]
print("DUMP " + json.dumps({
    "argv": sys.argv, "orig_argv": getattr(sys, "orig_argv", None), "path": sys.path, "cwd": os.getcwd(),
    "name": __name__, "file": __file__, "package": __package__, "spec": repr(__spec__), "loader": type(__loader__).__name__,
    "main": main.__name__, "main names": sorted(vars(main)), "env": dict(os.environ), "fds": fds(),
    "threads": sorted(t.name for t in threading.enumerate()), "flags": repr(sys.flags), "modules": sorted(sys.modules),
    "subprocess": repr(sys.modules.get("subprocess")), "hooks": repr(sys.excepthook), "stack": stack(), "executable": sys.executable,
    "stdin": os.readlink("/proc/self/fd/0"), "xoptions": sys._xoptions, "options": [sys.dont_write_bytecode, sys.warnoptions],
    "popen": __import__("subprocess").Popen.__module__, "listen": __import__("debugpy").listen.__module__,
}, sort_keys=True, indent=1).replace("\n", "\nDUMP "), flush=True)
`

// A program started our way sees what it sees under `python -m debugpy`.
func TestDebugpyProgramSeesTheSame(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"it's a dump ü.py", "mod.py", "pkg/__main__.py"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(dump), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	home := t.TempDir()
	args := []string{"a b", "it's", "new\nline", "ü", "--", "--listen", "-m", ""}
	tests := []struct {
		program, env []string
		wait         bool
	}{
		{[]string{"it's a dump ü.py"}, nil, false},
		{[]string{filepath.Join(dir, "it's a dump ü.py")}, []string{"PYTHONSAFEPATH=1", "X=ü\n"}, false},
		{[]string{"pkg"}, nil, false},
		{[]string{"-m", "mod"}, nil, false},
		{[]string{"-m", "pkg"}, []string{"PYTHONDONTWRITEBYTECODE=1"}, true},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%q", test.program), func(t *testing.T) {
			saw := map[bool][]string{}
			for _, stock := range []bool{true, false} {
				workspace := t.TempDir()
				r := Request{
					Program: append(append([]string{}, test.program...), args...), Cwd: dir, Stock: stock, Wait: test.wait, Workspace: workspace,
					Env: append([]string{"HOME=" + home}, append(newerDebugpy(), test.env...)...),
				}
				d := start(t, debugpyPlan(t, r))
				d.awaitReady()
				if test.wait {
					c := d.front()
					c.attach(nil, filepath.Join(dir, "mod.py"))
				}
				d.line("end of the dump", func(l string) bool { return l == "DUMP }" })
				if code := d.exit(); code != 0 {
					t.Errorf("exit status %d", code)
				}
				for line := range strings.SplitSeq(d.output(), "\n") {
					if strings.HasPrefix(line, "DUMP ") && !(stock && strings.Contains(line, "DEBUGPY_ADAPTER_ENDPOINTS")) {
						saw[stock] = append(saw[stock], address.ReplaceAllString(strings.ReplaceAll(line, workspace, "WORKSPACE"), "at …"))
					}
				}
			}
			stock, ours := saw[true], saw[false]
			if len(stock) < 100 {
				t.Fatalf("a dump of %d lines", len(stock))
			}
			if strings.Join(stock, "\n") != strings.Join(ours, "\n") {
				t.Errorf("stock only: %q\nours only: %q", lacking(stock, ours), lacking(ours, stock))
			}
		})
	}
}

var address = regexp.MustCompile(`at 0x[0-9a-f]+`)

// lacking returns the lines of a that b has not.
func lacking(a, b []string) []string {
	have := map[string]bool{}
	for _, line := range b {
		have[line] = true
	}
	var out []string
	for _, line := range a {
		if !have[line] {
			out = append(out, line)
		}
	}
	return out
}

// Where it stops, a front end is shown the same frames.
func TestDebugpyStackIsTheSame(t *testing.T) {
	file := script(t, counting)
	for _, justMyCode := range []bool{true, false} {
		frames := map[bool]string{}
		for _, stock := range []bool{true, false} {
			d := launch(t, debugpyPlan(t, Request{Program: []string{file}, Wait: true, Stock: stock, Env: newerDebugpy()}))
			c := d.front()
			c.attach(dict{"justMyCode": justMyCode}, file, 4)
			for _, f := range c.Stack(c.stopped().thread) {
				frames[stock] += fmt.Sprintf("%s %s:%d\n", f.Name, f.Source.Path, f.Line)
			}
			c.Close()
		}
		if frames[true] != frames[false] || frames[true] == "" {
			t.Errorf("justMyCode %t: stock\n%sours\n%s", justMyCode, frames[true], frames[false])
		}
	}
}
