package adapters

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
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
			if x.Over != nil {
				show("Ready.Over", x.Over.String())
			}
			fmt.Fprintf(&s, "Ready: file %q, timeout %v, settle %v\n", x.EndpointFile, x.Timeout, x.Settle)
		case []Failure:
			for _, fail := range x {
				fmt.Fprintf(&s, "Failure: %s %q %q %q retry=%t\n", fail.Code, fail.Match, fail.Message, fail.Hint, fail.Retry)
			}
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(x)) {
				fmt.Fprintf(&s, "%s.%s: %v\n", v.Type().Field(i).Name, name, x[name])
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

// golden compares with a file of testdata; -update writes it.
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

// goldenPlan is a request whose plan stands in a golden file.
type goldenPlan struct {
	a   Adapter
	req Request
}

// running is a process that takes SIGUSR1.
func running(exe string, argv ...string) Running {
	return Running{PID: 4242, Start: "777", UID: 1000, User: "ann", Argv: argv, Exe: exe, Cwd: "/srv/app", Caught: 1 << 9}
}

func (r Running) on(address ...string) Running {
	r.Listening = address
	return r
}

func (h Host) on(os string) Host {
	h.OS = os
	return h
}

// goldenPlans are by the file's name. Each language has a launch and a port among them.
func goldenPlans() map[string]goldenPlan {
	linux := Host{OS: "linux", Home: "/home/ann", Path: "/usr/bin:/bin", StreamLocal: true}
	busy := Host{OS: "darwin", Home: "/Users/ann", Path: "/usr/bin:/bin", OtherUsers: 3}
	return map[string]goldenPlan{
		"delve-exec": {NewDelve(), Request{Mode: Launch, Program: []string{"./app", "-x", "a b"}, Wait: true, Host: linux, Env: []string{"K=v"}, Facts: map[string]string{
			delveProbe: records("cwd=/srv/app", "dlv=/home/ann/go/bin/dlv", "dir=/srv/app", "name=app", "kind=exe"),
		}}},
		"delve-build": {NewDelve(), Request{Mode: Launch, Program: []string{"cmd/é x"}, Host: linux, Facts: map[string]string{
			delveProbe: records("cwd=/srv/app", "dlv=/usr/bin/dlv", "go=/usr/local/go/bin/go", "kind=dir", "dir=/srv/app/cmd/é x"),
		}}},
		"delve-import": {NewDelve(), Request{Mode: Launch, Program: []string{"example.com/m/cmd/app"}, Wait: true, Host: busy, Facts: map[string]string{
			delveProbe: records("cwd=/Users/ann", "cwd_default=1", "dlv=/usr/bin/dlv", "go=/usr/bin/go", "go_on_path=1", "kind=none"),
		}}},
		"delve-retry": {NewDelve(), Request{Mode: Launch, Program: []string{"/srv/app"}, Attempt: 1, Wait: true, Host: linux, Facts: map[string]string{
			delveProbe: records("cwd=/home/ann", "cwd_default=1", "dlv=/usr/bin/dlv", "kind=exe", "dir=/srv", "name=app"),
		}}},
		"delve-port": {NewDelve(), Request{Mode: Port, Port: 4000, Host: linux, Facts: map[string]string{delveProbe: records("listening=yes", "pid=7", "manner=multi")}}},
		"node-wait": {NewNode(), Request{Mode: Launch, Program: []string{"app.js", "-x"}, Wait: true, Host: linux, Facts: map[string]string{
			nodeProbe: records("cwd=/home/ann", "node=/usr/bin/node", "version=v20.20.2\n"),
		}}},
		"node-shared": {NewNode(), Request{Mode: Launch, Program: []string{"app.js"}, Wait: true, Host: busy, Facts: map[string]string{
			nodeProbe: records("cwd=/Users/ann", "node=/usr/bin/node", "version=v20.20.2\n"),
		}}},
		"node-published": {NewNode(), Request{Mode: Launch, Program: []string{"--inspect-publish-uid=http", "app.js"}, Wait: true, Host: busy, Facts: map[string]string{
			nodeProbe: records("cwd=/Users/ann", "node=/usr/bin/node", "version=v20.20.2\n"),
		}}},
		"node-old": {NewNode(), Request{Mode: Launch, Program: []string{"--flag", "app.js"}, Host: busy, Facts: map[string]string{
			nodeProbe: records("cwd=/Users/ann", "node=/usr/bin/node", "version=v10.2.0"),
		}}},
		"node-port": {NewNode(), Request{Mode: Port, Port: 9229, Host: linux}},
		"node-attach": {NewNode(), Request{Mode: Attach, Host: busy.on("linux"), Workspace: "/tmp/dbk-x", Target: running("/usr/bin/node", "node", "app.js"), Facts: map[string]string{
			nodeProbe: records("node=/usr/bin/node", "version=v20.20.2\n"),
		}}},
		"node-attach-inspected": {NewNode(), Request{Mode: Attach, Host: linux, Workspace: "/tmp/dbk-x", Target: running("/opt/n/node", "node", "--inspect-brk", "a b.js").on("127.0.0.1:9229"), Facts: map[string]string{
			nodeProbe: records("node=/usr/bin/node", "version=v20.20.2\n"),
		}}},
		"java-wait": {NewJDWP(), Request{Mode: Launch, Program: []string{"-jar", "/srv/x.jar", "a"}, Wait: true, Host: linux, Random: 5, Facts: map[string]string{
			javaProbe: records("cwd=/srv", "java=/usr/bin/java", "version=17.0.21", "ports=4E25 0016 "),
		}}},
		"java-run":  {NewJDWP(), Request{Mode: Launch, Program: []string{"App"}, Host: busy, Random: 40004, Facts: map[string]string{javaProbe: records("cwd=/Users/ann", "java=/usr/bin/java")}}},
		"java-port": {NewJDWP(), Request{Mode: Port, Port: 5005, Host: busy, Facts: map[string]string{javaProbe: records("listening=yes")}}},
		"debugpy-attach": {NewDebugpy(), Request{Mode: Attach, Host: linux, Workspace: "/tmp/dbk-x", Target: running("/usr/bin/python3.11", "python3", "app.py", "a b"), Facts: map[string]string{
			debugpyKey: fineFacts("target_version=3.11", "gdb=/usr/bin/gdb", "gdb_works=yes"),
		}}},
		"java-attach": {NewJDWP(), Request{Mode: Attach, Host: busy.on("linux"), Target: running("/jdk/bin/java", "java", "-agentlib:jdwp=transport=dt_socket,server=y,address=5005", "App").on("127.0.0.1:80", "127.0.0.1:5005"), Facts: map[string]string{
			javaProbe: records("agent=yes", "version=21.0.2"),
		}}},
		"java-attach-onjcmd": {NewJDWP(), Request{Mode: Attach, Host: linux, Target: running("/jdk/bin/java", "java", "-jar", "a b.jar"), Facts: map[string]string{
			javaProbe: records("agent=yes", "version=17.0.2", "jcmd=/jdk/bin/jcmd", "options=-Xmx1g -agentlib:jdwp=transport=dt_socket,server=y,suspend=n,onjcmd=y"),
		}}},
		"debugpy-wait":          {NewDebugpy(), Request{Mode: Launch, Program: []string{"app.py", "a b", "--listen", "it's", "ü\n"}, Wait: true, Facts: map[string]string{debugpyKey: fineFacts()}}},
		"debugpy-nowait-module": {NewDebugpy(), Request{Mode: Launch, Program: []string{"-m", "pkg.mod", "-x"}, Env: []string{"A=b c"}, Host: Host{OtherUsers: 2}, Facts: map[string]string{debugpyKey: fineFacts()}}},
		"debugpy-stock":         {NewDebugpy(), Request{Mode: Launch, Program: []string{"app.py"}, Wait: true, Stock: true, Env: []string{"A=b"}, Facts: map[string]string{debugpyKey: fineFacts()}}},
		"debugpy-retry":         {NewDebugpy(), Request{Mode: Launch, Program: []string{"app.py"}, Wait: true, Attempt: 1, Facts: map[string]string{debugpyKey: fineFacts()}}},
		"debugpy-old-python":    {NewDebugpy(), Request{Mode: Launch, Program: []string{"app.py"}, Wait: true, Facts: map[string]string{debugpyKey: strings.Replace(fineFacts(), "3.11.2", "3.9.1", 1)}}},
		"debugpy-port":          {NewDebugpy(), Request{Mode: Port, Port: 5678, Host: Host{OtherUsers: 1}}},
	}
}

func TestPlans(t *testing.T) {
	for name, c := range goldenPlans() {
		t.Run(name, func(t *testing.T) {
			c.req.Workspace = "/tmp/ws"
			plan, err := c.a.Plan(c.req)
			must(t, "plan", err)
			golden(t, name, render(plan))
		})
	}
}
