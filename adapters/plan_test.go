package adapters

import (
	"errors"
	"strings"
	"testing"
)

func TestPlanRefusals(t *testing.T) {
	host := Host{OS: "linux", Home: "/home/ann"}
	for name, c := range map[string]struct {
		a     Adapter
		req   Request
		facts string
		want  Code
	}{
		"go, no dlv":           {NewDelve(), Request{Program: []string{"app"}}, records("kind=exe", "dir=/", "name=app"), Missing},
		"go, no dlv there":     {NewDelve(), Request{Program: []string{"app"}, Interpreter: "/x/dlv"}, records("kind=exe"), Missing},
		"go, no go":            {NewDelve(), Request{Program: []string{"."}}, records("kind=dir", "dlv=/dlv"), Missing},
		"go, no program":       {NewDelve(), Request{Program: []string{"/nope"}}, records("kind=none", "dlv=/dlv", "go=/go"), NotFound},
		"go, a flag":           {NewDelve(), Request{Program: []string{"-o"}}, records("kind=none", "dlv=/dlv", "go=/go"), NotFound},
		"go, no such file":     {NewDelve(), Request{Program: []string{"x.go"}}, records("kind=none", "dlv=/dlv", "go=/go"), NotFound},
		"go, not executable":   {NewDelve(), Request{Program: []string{"app"}}, records("kind=noexec", "dlv=/dlv"), NotFound},
		"go, cwd":              {NewDelve(), Request{Program: []string{"app"}, Cwd: "/nope"}, records("cwd_missing=1"), NotFound},
		"go, nothing answered": {NewDelve(), Request{Program: []string{"/app"}}, "", NotFound},
		"node, no node":        {NewNode(), Request{Program: []string{"app.js"}}, records("dir=/"), Missing},
		"node, no program":     {NewNode(), Request{Program: []string{"app.js"}}, records("node=/node", "no_program=1"), NotFound},
		"node, no such node":   {NewNode(), Request{Program: []string{"app.js"}}, records("node=/bin/true", "version=true (GNU coreutils) 9.1\n"), Missing},
		"node, cwd":            {NewNode(), Request{Program: []string{"app.js"}, Cwd: "/nope"}, records("cwd_missing=1"), NotFound},
		"java, no java":        {NewJDWP(), Request{Program: []string{"App"}}, "", Missing},
		"java, cwd":            {NewJDWP(), Request{Program: []string{"App"}, Cwd: "/nope"}, records("cwd_missing=1"), NotFound},
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

func TestLongWorkspaceMeansTCP(t *testing.T) {
	plan, err := NewDelve().Plan(Request{
		Mode: Launch, Program: []string{"/srv/app"}, Workspace: "/" + strings.Repeat("w", 100), Host: Host{OS: "linux", StreamLocal: true},
		Facts: map[string]string{delveProbe: records("dlv=/dlv", "kind=exe", "dir=/srv", "name=app")},
	})
	must(t, "plan", err)
	if plan.Network != "tcp" {
		t.Errorf("%s %s", plan.Network, plan.Address)
	}
}

func TestPortNobodyListens(t *testing.T) {
	for _, a := range []Adapter{NewDelve(), NewNode(), NewJDWP()} {
		req := probed(t, a, Request{Mode: Port, Port: 1, Host: here(t)}, "/bin/sh")
		var refused *Error
		if _, err := a.Plan(req); !errors.As(err, &refused) || refused.Code != NotFound {
			t.Errorf("%s: %v", a.Name(), err)
		}
	}
}
