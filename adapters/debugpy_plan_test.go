package adapters

import (
	"errors"
	"strings"
	"testing"
)

// fineFacts is the answer of a host that has everything, with further facts behind it, or noise.
func fineFacts(more ...string) string {
	return "motd of the day\n" + records(append([]string{
		"cwd=/srv/my app", "program=found", "interpreter=/usr/bin/python3", "version=3.11.2", "debugpy=1.6.3+git20221103.a2a3328", "module=",
	}, more...)...)
}

func TestDebugpyCheck(t *testing.T) {
	tests := []struct {
		req Request
		ok  bool
	}{
		{Request{Mode: Launch, Program: []string{"app.py"}}, true},
		{Request{Mode: Launch, Program: []string{"-m", "mod"}}, true},
		{Request{Mode: Launch, Program: []string{"./-x.py", "-c"}}, true},
		{Request{Mode: Launch, Program: []string{"-m"}}, false},
		{Request{Mode: Launch, Program: []string{"-m", ""}}, false},
		{Request{Mode: Launch, Program: []string{"-m", "-u"}}, false},
		{Request{Mode: Launch, Program: []string{"-u", "app.py"}}, false},
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
		{"cwd", records("cwd_missing=./no such"), "", NotFound, `"no such"`},
		{"program", records("cwd=/srv", "program=missing"), "", NotFound, `"/srv/app.py"`},
		{"unreadable", records("cwd=/srv", "program=unreadable"), "", NotFound, "cannot be read"},
		{"directory", records("cwd=/srv", "program=no_main"), "", NotFound, "__main__.py"},
		{"no debugpy", records("cwd=/srv", "program=found", "tried=no_debugpy /a/python3", "tried=slow /b/python3"), "", Missing, "/a/python3 has no debugpy; /b/python3 did not"},
		{"interpreter", records("cwd=/srv", "program=found", "tried=absent /opt/py"), "/opt/py", Missing, "/opt/py is not there"},
		{"module", strings.Replace(fineFacts(), "module=", "module=missing", 1), "", NotFound, `"app.py"`},
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
