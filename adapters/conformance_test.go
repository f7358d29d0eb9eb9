package adapters

import (
	"errors"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// What every adapter must hold. A new language is held to it by its line in Builtin.
func TestAdapters(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range Builtin() {
		t.Run(a.Name(), func(t *testing.T) {
			for _, name := range append([]string{a.Name()}, a.Aliases()...) {
				if seen[name] || name == "" || name != strings.ToLower(name) {
					t.Errorf("name %q is taken, empty or not in lower case", name)
				}
				seen[name] = true
				if found, ok := Lookup(Builtin(), strings.ToUpper(name)); !ok || found.Name() != a.Name() {
					t.Errorf("lookup of %q: %v, %t", name, found, ok)
				}
			}
			if !slices.Contains([]Protocol{DAP, CDP, JDWP}, a.Protocol()) {
				t.Errorf("protocol %q", a.Protocol())
			}
			t.Run("check", func(t *testing.T) { testCheck(t, a) })
			t.Run("plans", func(t *testing.T) { testPlans(t, a) })
		})
	}
	if _, ok := Lookup(Builtin(), "cobol"); ok {
		t.Error("found cobol")
	}
}

// testCheck: what cannot be carried out is refused as wrong usage, with a hint, before a host is asked.
func testCheck(t *testing.T, a Adapter) {
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
			t.Errorf("%s: %v", name, err)
		}
	}
}

// testPlans: the same request gives the same probes and the same plan, and comes back as it went in.
func testPlans(t *testing.T, a Adapter) {
	modes := map[Mode]bool{}
	for name, c := range goldenPlans() {
		if c.a.Name() != a.Name() {
			continue
		}
		modes[c.req.Mode] = true
		asked, kept := roomy(c.req), roomy(c.req)
		must(t, name, a.Check(asked))
		probes := a.Probe(asked)
		if again := a.Probe(asked); !reflect.DeepEqual(probes, again) {
			t.Errorf("%s: two probes differ:\n%q\n%q", name, probes, again)
		}
		keys := map[string]bool{}
		for _, p := range probes {
			if p.Key == "" || keys[p.Key] {
				t.Errorf("%s: key %q", name, p.Key)
			}
			keys[p.Key] = true
			sh := exec.Command("/bin/sh", "-n")
			sh.Stdin = strings.NewReader(p.Script)
			if out, err := sh.CombinedOutput(); err != nil {
				t.Errorf("%s: probe %s is no shell script: %v: %s", name, p.Key, err, out)
			}
		}
		plan, err := a.Plan(asked)
		must(t, name, err)
		if again, err := a.Plan(asked); err != nil || render(plan) != render(again) {
			t.Errorf("%s: two plans differ:\n%s\n%s, %v", name, render(plan), render(again), err)
		}
		if !reflect.DeepEqual(asked, kept) || len(asked.Env) > 0 && asked.Env[:len(asked.Env)+1][len(asked.Env)] != "" {
			t.Errorf("%s: the request has been changed", name)
		}
		if plan.Protocol != a.Protocol() || plan.Server == "" || plan.Network == "" || plan.Cwd == "" && c.req.Mode == Launch || (plan.Argv == nil) != (c.req.Mode == Port) {
			t.Errorf("%s: the plan lacks something:\n%s", name, render(plan))
		}
		if c.req.Mode == Attach && (!plan.Stands || plan.Files == nil || !slices.Equal(plan.Program, c.req.Target.Argv) || plan.Cwd != c.req.Target.Cwd) {
			t.Errorf("%s: the plan does not fit a running program:\n%s", name, render(plan))
		}
		if c.req.Mode != Port && (plan.Ready.Timeout <= 0 || (plan.Ready.Line == nil) == (plan.Ready.EndpointFile == "")) {
			t.Errorf("%s: the plan does not say when it is ready:\n%s", name, render(plan))
		}
		if c.req.Mode == Port && plan.Address == "" {
			t.Errorf("%s: no address", name)
		}
	}
	if !modes[Launch] || !modes[Port] {
		t.Errorf("golden files of a launch and of a port are wanted, there are %v", modes)
	}
}

// roomy is a copy with room behind its slices, so that an append to one of them can be seen.
func roomy(req Request) Request {
	for _, words := range []*[]string{&req.Program, &req.Env} {
		if *words != nil {
			*words = append(make([]string, 0, len(*words)+4), *words...)
		}
	}
	return req
}
