package adapters

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// otherDebugpy returns a PYTHONPATH under which sitecustomize changes debugpy before it is used, as an unknown version might.
func otherDebugpy(t *testing.T, change string) []string {
	t.Helper()
	dir := t.TempDir()
	// Python's own hook for a module's import: the change is made when debugpy.server.cli, or the adapter, is loaded.
	const hook = `import sys, importlib.abc, importlib.util
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module
        def exec_module(module):
            load(module)
            CHANGE
        spec.loader.exec_module = exec_module
        return spec
sys.meta_path.insert(0, Finder())
`
	module, change, _ := strings.Cut(change, ": ")
	source := strings.NewReplacer("MODULE", `"`+module+`"`, "CHANGE", change).Replace(hook)
	if err := os.WriteFile(filepath.Join(dir, "sitecustomize.py"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"PYTHONPATH=" + dir + string(os.PathListSeparator) + os.Getenv("DEBUGPY_PATH")}
}

// A debugpy that is not as known is run as it is, and the user is told why.
func TestDebugpySurprise(t *testing.T) {
	tests := []struct{ name, change, notice string }{
		{"pydevd without start_client", `debugpy.server.cli: p = sys.modules["pydevd"]; p.other = p.start_client; p.PyDB.connect = lambda self, h, q: self.initialize_network(p.other(h, q)); del p.start_client`, "start_client"},
		{"pydevd connects otherwise", `debugpy.server.cli: p = sys.modules["pydevd"]; p.other = p.start_client; p.PyDB.connect = lambda self, h, q: self.initialize_network(p.other(h, q))`, "not hooked: pydevd"},
		{"adapter started otherwise", `debugpy.server.cli: import os, types; from debugpy.server import api; api.os = types.ModuleType("os"); vars(api.os).update(vars(os)); api.os.path = types.SimpleNamespace(dirname=lambda p: os.path.dirname(p) + "/.")`, "not hooked: adapter"},
		{"adapter's client is final", `debugpy.adapter.clients: module.Client.__init_subclass__ = classmethod(lambda c: 1 / 0)`, "adapter: ZeroDivisionError"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := script(t, counting)
			d := launch(t, debugpyPlan(t, Request{Program: []string{file}, Wait: true, Env: otherDebugpy(t, test.change)}))
			told := d.plan.Notices.FindStringSubmatch(d.line("notice", d.plan.Notices.MatchString))[1]
			if !regexp.MustCompile(test.notice).MatchString(told) {
				t.Errorf("notice %q, want %q", told, test.notice)
			}
			c := d.front()
			c.attach(nil, file, 4)
			if s := c.stopped(); s.frame.Line != 4 {
				t.Errorf("stopped at %+v", s.frame)
			}
		})
	}
}

// A debugpy that starts in another way altogether ends before the program begins, and is planned again as stock.
func TestDebugpySurpriseRetry(t *testing.T) {
	file := script(t, counting)
	r := Request{Program: []string{file}, Wait: true, Workspace: t.TempDir(),
		Env: otherDebugpy(t, `debugpy.server.cli: f = module.start_debugging; module.start_debugging = lambda name: f(name)`)}
	d := start(t, debugpyPlan(t, r))
	if code := d.exit(); code == 0 {
		t.Error("exit status 0")
	}
	d.line("surprise", func(l string) bool { return d.plan.Failures[0].Match.MatchString(l) && d.plan.Failures[0].Retry })
	r.Attempt = 1
	d = launch(t, debugpyPlan(t, r))
	if len(d.plan.Warnings) == 0 {
		t.Error("no warning")
	}
	c := d.front()
	c.attach(nil, file, 4)
	c.stopped()
}
