package adapters

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// records spells what a probe prints.
func records(pairs ...string) string {
	return strings.Join(pairs, "\x00") + "\x00"
}

func written(p Plan) string {
	var b strings.Builder
	line := func(key string, value any) { fmt.Fprintf(&b, "%s: %v\n", key, value) }
	line("server", p.Server)
	for _, a := range p.Argv {
		line("argv", fmt.Sprintf("%q", a))
	}
	for _, e := range p.Env {
		line("env", fmt.Sprintf("%q", e))
	}
	line("cwd", fmt.Sprintf("%q, server %q", p.Cwd, p.ServerCwd))
	line("program", fmt.Sprintf("%q", p.Program))
	line("endpoint", strings.TrimSpace(p.Network+" "+p.Address))
	line("ready", fmt.Sprintf("%v in %v, settle %v", p.Ready.Line, p.Ready.Timeout, p.Ready.Settle))
	line("protocol", fmt.Sprintf("%s rpc=%v one=%v spare=%v exposed=%v", p.Protocol, p.RPC, p.OneClient, p.Spare, p.Exposed))
	if p.SecretPath {
		line("secret path", true)
	}
	line("exchanges", fmt.Sprintf("announced=%v started=%v first=%v last=%v watch=%v stop=%v",
		p.Announced != nil, p.Started != nil, p.BeforeFirst != nil, p.AfterLast != nil, p.Watch != nil, p.Stop != nil))
	for _, w := range p.Warnings {
		line("warning", w)
	}
	return b.String()
}

func TestPlans(t *testing.T) {
	linux := Host{OS: "linux", Home: "/home/ann", Path: "/usr/bin:/bin", StreamLocal: true}
	busy := Host{OS: "darwin", Home: "/Users/ann", Path: "/usr/bin:/bin", OtherUsers: 3}
	for name, c := range map[string]struct {
		a   Adapter
		req Request
	}{
		"delve-exec": {NewDelve(), Request{Mode: Launch, Program: []string{"./app", "-x", "a b"}, Wait: true, Host: linux, Env: []string{"K=v"}, Facts: map[string]string{
			delveProbe: records("start", "/srv/app", "cwd-local", "1", "dlv", "/home/ann/go/bin/dlv", "dir", "/srv/app", "name", "app", "kind", "exe"),
		}}},
		"delve-build": {NewDelve(), Request{Mode: Launch, Program: []string{"cmd/é x"}, Host: linux, Facts: map[string]string{
			delveProbe: records("start", "/srv/app", "cwd-local", "1", "dlv", "/usr/bin/dlv", "go", "/usr/local/go/bin/go", "kind", "dir", "dir", "/srv/app/cmd/é x"),
		}}},
		"delve-import": {NewDelve(), Request{Mode: Launch, Program: []string{"example.com/m/cmd/app"}, Wait: true, Host: busy, Facts: map[string]string{
			delveProbe: records("start", "/Users/ann", "dlv", "/usr/bin/dlv", "go", "/usr/bin/go", "go-on-path", "1", "kind", "none"),
		}}},
		"delve-retry": {NewDelve(), Request{Mode: Launch, Program: []string{"/srv/app"}, Attempt: 1, Wait: true, Host: linux, Facts: map[string]string{
			delveProbe: records("start", "/home/ann", "dlv", "/usr/bin/dlv", "kind", "exe", "dir", "/srv", "name", "app"),
		}}},
		"delve-port": {NewDelve(), Request{Mode: Port, Port: 4000, Host: linux, Facts: map[string]string{delveProbe: records("listening", "yes", "pid", "7", "manner", "multi")}}},
		"node-wait": {NewNode(), Request{Mode: Launch, Program: []string{"app.js", "-x"}, Wait: true, Host: linux, Facts: map[string]string{
			nodeProbe: records("start", "/home/ann", "node", "/usr/bin/node", "version", "v20.20.2\n", "dir", "/home/ann"),
		}}},
		"node-old": {NewNode(), Request{Mode: Launch, Program: []string{"--flag", "app.js"}, Host: busy, Facts: map[string]string{
			nodeProbe: records("start", "/Users/ann", "node", "/usr/bin/node", "version", "v10.2.0"),
		}}},
		"node-port": {NewNode(), Request{Mode: Port, Port: 9229, Host: linux}},
		"java-wait": {NewJDWP(), Request{Mode: Launch, Program: []string{"-jar", "/srv/x.jar", "a"}, Wait: true, Host: linux, Random: 5, Facts: map[string]string{
			javaProbe: records("start", "/home/ann", "java", "/usr/bin/java", "version", "17.0.21", "ports", "4E25 0016 ", "dir", "/srv"),
		}}},
		"java-run":  {NewJDWP(), Request{Mode: Launch, Program: []string{"App"}, Host: busy, Random: 40004, Facts: map[string]string{javaProbe: records("start", "/Users/ann", "java", "/usr/bin/java")}}},
		"java-port": {NewJDWP(), Request{Mode: Port, Port: 5005, Host: busy, Facts: map[string]string{javaProbe: records("listening", "yes")}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.req.Workspace = "/tmp/ws"
			plan, err := c.a.Plan(c.req)
			must(t, "plan", err)
			file := filepath.Join("testdata", name+".golden")
			got := written(plan)
			if *update {
				must(t, "write", os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			must(t, "read", err)
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestPlanRefusals(t *testing.T) {
	host := Host{OS: "linux", Home: "/home/ann"}
	for name, c := range map[string]struct {
		a     Adapter
		req   Request
		facts string
		want  Code
	}{
		"go, no dlv":           {NewDelve(), Request{Program: []string{"app"}}, records("kind", "exe", "dir", "/", "name", "app"), Missing},
		"go, no dlv there":     {NewDelve(), Request{Program: []string{"app"}, Interpreter: "/x/dlv"}, records("kind", "exe"), Missing},
		"go, no go":            {NewDelve(), Request{Program: []string{"."}}, records("kind", "dir", "dlv", "/dlv"), Missing},
		"go, no program":       {NewDelve(), Request{Program: []string{"/nope"}}, records("kind", "none", "dlv", "/dlv", "go", "/go"), NotFound},
		"go, a flag":           {NewDelve(), Request{Program: []string{"-o"}}, records("kind", "none", "dlv", "/dlv", "go", "/go"), NotFound},
		"go, no such file":     {NewDelve(), Request{Program: []string{"x.go"}}, records("kind", "none", "dlv", "/dlv", "go", "/go"), NotFound},
		"go, not executable":   {NewDelve(), Request{Program: []string{"app"}}, records("kind", "noexec", "dlv", "/dlv"), NotFound},
		"go, cwd":              {NewDelve(), Request{Program: []string{"app"}, Cwd: "/nope"}, records("cwd-missing", "1"), NotFound},
		"go, nothing answered": {NewDelve(), Request{Program: []string{"/app"}}, "", NotFound},
		"node, no node":        {NewNode(), Request{Program: []string{"app.js"}}, records("dir", "/"), Missing},
		"node, no program":     {NewNode(), Request{Program: []string{"app.js"}}, records("node", "/node", "no-program", "1"), NotFound},
		"node, no such node":   {NewNode(), Request{Program: []string{"app.js"}}, records("node", "/bin/true", "version", "true (GNU coreutils) 9.1\n"), Missing},
		"node, cwd":            {NewNode(), Request{Program: []string{"app.js"}, Cwd: "/nope"}, records("cwd-missing", "1"), NotFound},
		"java, no java":        {NewJDWP(), Request{Program: []string{"App"}}, "", Missing},
		"java, cwd":            {NewJDWP(), Request{Program: []string{"App"}, Cwd: "/nope"}, records("cwd-missing", "1"), NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			c.req.Mode, c.req.Host = Launch, host
			c.req.Facts = map[string]string{delveProbe: c.facts, nodeProbe: c.facts, javaProbe: c.facts}
			_, err := c.a.Plan(c.req)
			var refused *Error
			if !errors.As(err, &refused) || refused.Code != c.want || refused.Hint == "" {
				t.Errorf("%+v", err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for _, a := range []Adapter{NewDelve(), NewNode(), NewJDWP()} {
		for name, c := range map[string]struct {
			req Request
			ok  bool
		}{
			"program":       {Request{Mode: Launch, Program: []string{"x"}}, true},
			"port":          {Request{Mode: Port, Port: 65535}, true},
			"nothing":       {Request{Mode: Launch}, false},
			"empty program": {Request{Mode: Launch, Program: []string{""}}, false},
			"both":          {Request{Mode: Port, Port: 1, Program: []string{"x"}}, false},
			"both too":      {Request{Mode: Launch, Port: 1, Program: []string{"x"}}, false},
			"port 0":        {Request{Mode: Port}, false},
			"port 65536":    {Request{Mode: Port, Port: 65536}, false},
			"NUL":           {Request{Mode: Launch, Program: []string{"x", "a\x00b"}}, false},
			"no mode":       {Request{Program: []string{"x"}}, false},
		} {
			err := a.Check(c.req)
			var refused *Error
			if c.ok && err != nil || !c.ok && (!errors.As(err, &refused) || refused.Code != Usage || refused.Hint == "") {
				t.Errorf("%s, %s: %v", a.Name(), name, err)
			}
		}
	}
}

func TestLongWorkspaceMeansTCP(t *testing.T) {
	plan, err := NewDelve().Plan(Request{
		Mode: Launch, Program: []string{"/srv/app"}, Workspace: "/" + strings.Repeat("w", 100), Host: Host{OS: "linux", StreamLocal: true},
		Facts: map[string]string{delveProbe: records("dlv", "/dlv", "kind", "exe", "dir", "/srv", "name", "app")},
	})
	must(t, "plan", err)
	if plan.Network != "tcp" {
		t.Errorf("%s %s", plan.Network, plan.Address)
	}
}
