package adapters

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// render is a plan as a golden file shows it.
func render(p Plan) string {
	var s strings.Builder
	v := reflect.ValueOf(p)
	show := func(name string, value any) { fmt.Fprintf(&s, "%s: %+q\n", name, value) }
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		if f.IsZero() {
			continue
		}
		switch x := f.Interface().(type) {
		case *regexp.Regexp:
			show(name, x.String())
		case []File:
			for _, file := range x {
				show(name, file.Name)
			}
		case Ready:
			if x.Line != nil {
				show("Ready.Line", x.Line.String())
			}
			fmt.Fprintf(&s, "Ready: file %q, timeout %v, settle %v\n", x.EndpointFile, x.Timeout, x.Settle)
		case []Failure:
			for _, fail := range x {
				fmt.Fprintf(&s, "Failure: %s %q %q %q retry=%t\n", fail.Code, fail.Match, fail.Message, fail.Hint, fail.Retry)
			}
		case bool, string, Protocol:
			fmt.Fprintf(&s, "%s: %v\n", name, x)
		case []string:
			for _, word := range x {
				show(name, word)
			}
		default:
			if f.Kind() != reflect.Func {
				panic(name)
			}
			fmt.Fprintf(&s, "%s: a function\n", name)
		}
	}
	return s.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (go test -update writes it):\n%s", file, got)
	}
}

const fineFacts = "motd of the day\ncwd=/srv/my app\nprogram=found\ninterpreter=/usr/bin/python3\nversion=3.11.2\ndebugpy=1.6.3+git20221103.a2a3328\nmodule=\n"

func TestDebugpyPlan(t *testing.T) {
	older := strings.Replace(fineFacts, "3.11.2", "3.9.1", 1)
	tests := []struct {
		name string
		req  Request
	}{
		{"debugpy_wait", Request{Program: []string{"app.py", "a b", "--listen", "it's", "ü\n"}, Wait: true}},
		{"debugpy_nowait_module", Request{Program: []string{"-m", "pkg.mod", "-x"}, Env: []string{"A=b c"}, Host: Host{OtherUsers: 2}}},
		{"debugpy_stock", Request{Program: []string{"app.py"}, Wait: true, Stock: true, Env: []string{"A=b"}}},
		{"debugpy_retry", Request{Program: []string{"app.py"}, Wait: true, Attempt: 1}},
		{"debugpy_old_python", Request{Program: []string{"app.py"}, Wait: true, Facts: map[string]string{debugpyKey: older}}},
		{"debugpy_port", Request{Mode: Port, Port: 5678, Host: Host{OtherUsers: 1}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.req.Mode == "" {
				test.req.Mode = Launch
			}
			test.req.Workspace = "/home/u/.cache/ws"
			if test.req.Facts == nil {
				test.req.Facts = map[string]string{debugpyKey: fineFacts}
			}
			p, err := NewDebugpy().Plan(test.req)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, test.name, render(p))
		})
	}
}

func TestDebugpyPlanLeavesEnvAlone(t *testing.T) {
	env := append(make([]string, 0, 4), "A=b")
	r := Request{Mode: Launch, Program: []string{"app.py"}, Stock: true, Env: env, Facts: map[string]string{debugpyKey: fineFacts}}
	if _, err := NewDebugpy().Plan(r); err != nil {
		t.Fatal(err)
	}
	if extra := env[:2][1]; extra != "" {
		t.Errorf("wrote %q behind the request's environment", extra)
	}
}

func TestDebugpyCheck(t *testing.T) {
	tests := []struct {
		req Request
		ok  bool
	}{
		{Request{Mode: Launch, Program: []string{"app.py"}}, true},
		{Request{Mode: Launch, Program: []string{"-m", "mod"}}, true},
		{Request{Mode: Launch, Program: []string{"./-x.py", "-c"}}, true},
		{Request{Mode: Port, Port: 5678}, true},
		{Request{Mode: Launch}, false},
		{Request{}, false},
		{Request{Mode: Launch, Program: []string{""}}, false},
		{Request{Mode: Launch, Program: []string{"-m"}}, false},
		{Request{Mode: Launch, Program: []string{"-m", ""}}, false},
		{Request{Mode: Launch, Program: []string{"-m", "-u"}}, false},
		{Request{Mode: Launch, Program: []string{"-u", "app.py"}}, false},
		{Request{Mode: Launch, Program: []string{"app.py"}, Port: 5678}, false},
		{Request{Mode: Port, Program: []string{"app.py"}, Port: 5678}, false},
		{Request{Mode: Port}, false},
		{Request{Mode: Port, Port: 65536}, false},
	}
	for _, test := range tests {
		err := NewDebugpy().Check(test.req)
		var refused *Error
		switch {
		case test.ok && err != nil:
			t.Errorf("%+v: %v", test.req, err)
		case !test.ok && (!errors.As(err, &refused) || refused.Code != Usage || refused.Hint == ""):
			t.Errorf("%+v: %v is no usage error with a hint", test.req, err)
		}
	}
}

func TestDebugpyRefusals(t *testing.T) {
	tests := []struct {
		name, facts, interpreter string
		code                     Code
		says                     string
	}{
		{"silent", "", "", Internal, "did not answer"},
		{"cwd", "cwd_missing=./no such\n", "", NotFound, `"no such"`},
		{"program", "cwd=/srv\nprogram=missing\n", "", NotFound, `"/srv/app.py"`},
		{"unreadable", "cwd=/srv\nprogram=unreadable\n", "", NotFound, "cannot be read"},
		{"directory", "cwd=/srv\nprogram=no_main\n", "", NotFound, "__main__.py"},
		{"no debugpy", "cwd=/srv\nprogram=found\ntried=no_debugpy /a/python3\ntried=slow /b/python3\n", "", Missing, "/a/python3 has no debugpy; /b/python3 did not"},
		{"interpreter", "cwd=/srv\nprogram=found\ntried=absent /opt/py\n", "/opt/py", Missing, "/opt/py is not there"},
		{"module", strings.Replace(fineFacts, "module=", "module=missing", 1), "", NotFound, `"app.py"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := Request{Mode: Launch, Program: []string{"app.py"}, Interpreter: test.interpreter, Facts: map[string]string{debugpyKey: test.facts}}
			if test.name == "module" {
				r.Program = []string{"-m", "app.py"}
			}
			_, err := NewDebugpy().Plan(r)
			var refused *Error
			if !errors.As(err, &refused) || refused.Code != test.code || !strings.Contains(refused.Message, test.says) {
				t.Errorf("%#v, want %s saying %s", err, test.code, test.says)
			}
		})
	}
}

func TestDebugpyFailures(t *testing.T) {
	table := debugpyFailures("abc")
	tests := []struct {
		out   string
		code  Code
		retry bool
	}{
		{"debugbroker abc surprise AttributeError: x", Internal, true},
		{"/usr/bin/python3: No module named debugpy", Missing, false},
		{"Traceback (most recent call last):\nModuleNotFoundError: No module named 'debugpy'", Missing, false},
		{"/usr/bin/python3.11: No module named nope", NotFound, false},
		{"x\nModuleNotFoundError: No module named 'numpy'\n", Died, false},
		{"  File \"a.py\", line 1\nSyntaxError: invalid syntax", Died, false},
		{"RuntimeError: timed out waiting for adapter to connect", Internal, false},
		{"debugbroker xyz surprise made up", "", false},
		{"the program says ImportError: no", "", false},
	}
	for _, test := range tests {
		var code Code
		var retry bool
		for _, f := range table {
			if f.Match.MatchString(test.out) {
				code, retry = f.Code, f.Retry
				break
			}
		}
		if code != test.code || retry != test.retry {
			t.Errorf("%q is %q, retry %t; want %q, %t", test.out, code, retry, test.code, test.retry)
		}
	}
}
