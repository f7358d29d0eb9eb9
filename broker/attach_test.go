package broker

import (
	"context"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

func proc(pid int, change func(*tunnel.ProcessInfo), argv ...string) tunnel.ProcessInfo {
	p := tunnel.ProcessInfo{ID: tunnel.ProcessID{Boot: "boot", PID: pid, Start: "7"}, UID: 1000, User: "ada", State: "S", Argv: argv, Exe: "/usr/bin/" + argv[0], Cwd: "/srv"}
	if change != nil {
		change(&p)
	}
	return p
}

// The host shows these processes; the login user is 1000.
func crowd() []tunnel.ProcessInfo {
	return []tunnel.ProcessInfo{
		proc(10, nil, "java", "-jar", "shop.jar"),
		proc(11, nil, "java", "-jar", "mail.jar"),
		proc(12, nil, "nginx"),
		proc(13, func(p *tunnel.ProcessInfo) { p.Tracer = 49 }, "java", "traced.jar"),
		proc(49, nil, "gdb"),
		proc(14, func(p *tunnel.ProcessInfo) { p.State = "T" }, "java", "stopped.jar"),
		proc(15, func(p *tunnel.ProcessInfo) { p.UID, p.User = 1001, "bob" }, "java", "bobs.jar"),
		proc(16, func(p *tunnel.ProcessInfo) { p.Container = "docker 3f2a91c0ffee" }, "java", "boxed.jar"),
		proc(17, func(p *tunnel.ProcessInfo) { p.Exe = "/opt/bin/brokerd" }, "java", "brokerd"),
		proc(18, func(p *tunnel.ProcessInfo) { p.Tracer = 4711 }, "java", "traced-by-hidden.jar"),
	}
}

func TestAttachRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		req     api.OpenRequest
		code    api.Code
		message string
		hint    string
	}{
		"gone":             {api.OpenRequest{PID: 9}, api.CodeNotFound, "no process 9 on this machine", "brokerctl ps :java"},
		"another language": {api.OpenRequest{PID: 12}, api.CodeUnsuitable, "process 12 (nginx) is not a java program", "brokerctl ps :java"},
		"traced":           {api.OpenRequest{PID: 13}, api.CodeTraced, "process 13 (java) is already being debugged by pid 49 (gdb)", "one debugger at a time"},
		"traced, unseen":   {api.OpenRequest{PID: 18}, api.CodeTraced, "already being debugged by pid 4711", ""},
		"stopped":          {api.OpenRequest{PID: 14}, api.CodeUnsuitable, "process 14 (java) is stopped by a signal", "kill -CONT 14"},
		"another user":     {api.OpenRequest{PID: 15}, api.CodeNoPermission, "process 15 (java) belongs to another user: bob", "--sudo"},
		"in a container":   {api.OpenRequest{PID: 16}, api.CodeUnsuitable, "runs in a container (docker 3f2a91c0ffee)", "inside of the container"},
		"ours":             {api.OpenRequest{PID: 17}, api.CodeUnsuitable, "debugbroker itself", ""},
		"none matches":     {api.OpenRequest{Match: "nothing"}, api.CodeNotFound, `no java process of this machine matches "nothing"`, "brokerctl ps :java"},
		"never ours":       {api.OpenRequest{Match: "brokerd"}, api.CodeNotFound, "no java process", ""},
		"several match":    {api.OpenRequest{Match: `(shop|mail)\.jar$`}, api.CodeAmbiguous, "2 java processes of this machine match", "--pid: 10 (java -jar shop.jar), 11 (java -jar mail.jar)"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, fakeAdapter{})
			f.host.processes = crowd()
			s := f.open(t, c.req)
			<-s.done
			v := s.snapshot()
			if v.Error == nil || v.Error.Code != c.code || !strings.Contains(v.Error.Message, c.message) || !strings.Contains(v.Error.Hint, c.hint) {
				t.Errorf("got %+v, want code %s, message with %q, hint with %q", v.Error, c.code, c.message, c.hint)
			}
			if calls := f.host.did("make "); len(calls) > 0 {
				t.Errorf("something was made on the host: %q", calls)
			}
		})
	}
}

// What is refused for what was asked is no session.
func TestRefusedRequestsAreNoSessions(t *testing.T) {
	for name, c := range map[string]struct {
		req     api.OpenRequest
		message string
	}{
		"no expression": {api.OpenRequest{Match: "("}, "--match: error parsing regexp"},
		"no unit":       {api.OpenRequest{Unit: "a/b"}, "is no unit's name"},
		"no host":       {api.OpenRequest{Host: "-oProxyCommand=x", PID: 11}, "not a host name"},
		"no program":    {api.OpenRequest{}, "nothing to debug"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, fakeAdapter{check: func(r adapters.Request) error {
				if r.Mode == adapters.Launch && len(r.Program) == 0 {
					return &adapters.Error{Code: adapters.Usage, Message: "nothing to debug"}
				}
				return nil
			}})
			c.req.Lang = "java"
			_, err := f.b.Open(c.req)
			if e := asAPI(err); e == nil || e.Code != api.CodeUsage || !strings.Contains(e.Message, c.message) {
				t.Errorf("%+v", e)
			}
			list, err := f.b.Sessions(true)
			if err != nil || len(list) != 0 {
				t.Errorf("listed: %+v, %v", list, err)
			}
			if recs, err := f.b.store.Sessions(); err != nil || len(recs) != 0 {
				t.Errorf("kept: %+v, %v", recs, err)
			}
		})
	}
}

func TestAttachChooses(t *testing.T) {
	for name, req := range map[string]api.OpenRequest{"by pid": {PID: 11}, "by its command line": {Match: `^java .*mail\.jar`}} {
		t.Run(name, func(t *testing.T) {
			var target adapters.Running
			f := newFixture(t, fakeAdapter{change: func(r adapters.Request, p *adapters.Plan) {
				target, p.Stands, p.Leaves = r.Target, true, []string{"the agent"}
			}})
			f.host.processes = crowd()
			s := f.open(t, req)
			v := s.snapshot()
			if v.Phase != api.PhaseReady || v.Mode != "attach" || v.PID == nil || *v.PID != 11 || target.PID != 11 || target.Start != "7" {
				t.Fatalf("session %+v, target %+v", v, target)
			}
			second := f.open(t, api.OpenRequest{PID: 11})
			if e := second.snapshot().Error; e == nil || e.Code != api.CodeTraced || !strings.Contains(e.Message, "session "+s.id) {
				t.Errorf("a second session on the same process: %+v", e)
			}
			closed, err := f.b.Close(t.Context(), s.id)
			if err != nil || closed.Error != nil || len(closed.Left) != 1 || closed.Left[0] != "the agent" {
				t.Errorf("close: %+v, %v", closed, err)
			}
			if n := f.host.remaining(); n != 0 {
				t.Errorf("%d workspaces are left", n)
			}
		})
	}
}

// A pid can be another program's by the time that a debug server has taken it: that one is let go again.
func TestAttachLooksAgain(t *testing.T) {
	for start, want := range map[string]api.Phase{"7": api.PhaseReady, "8": api.PhaseFailed} {
		t.Run(start, func(t *testing.T) {
			stopped := false
			f := newFixture(t, fakeAdapter{change: func(_ adapters.Request, p *adapters.Plan) {
				p.Stop = func(context.Context, adapters.Dial) error { stopped = true; return nil }
			}})
			f.host.processes = crowd()
			f.host.files = map[string]string{"/proc/11/stat": "11 (a) S 1 x) t 1 11 11 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 " + start + " 10 20\n"}
			s := f.open(t, api.OpenRequest{PID: 11})
			if want == api.PhaseFailed {
				<-s.done
			}
			v := s.snapshot()
			if v.Phase != want || stopped != (want == api.PhaseFailed) {
				t.Fatalf("%s, debug server stopped: %t, error %+v", v.Phase, stopped, v.Error)
			}
			if want == api.PhaseFailed && (v.Error.Code != api.CodeNotFound || !strings.Contains(v.Error.Message, "process 11 has ended, and another has its pid") || f.host.remaining() != 0) {
				t.Errorf("%+v, %d workspaces left", v.Error, f.host.remaining())
			}
		})
	}
	for _, text := range []string{"", "7", "7 (x", "7 (x) S 1 2"} {
		if got := startTime(text); got != "" {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// The guard's end is the program's, and says nothing of how it ended.
func TestAttachedProgramEnds(t *testing.T) {
	f := newFixture(t, fakeAdapter{change: func(_ adapters.Request, p *adapters.Plan) { p.Stands = true }})
	f.host.processes = crowd()
	s := f.open(t, api.OpenRequest{PID: 10})
	f.host.process().end(tunnel.Exit{}, nil)
	<-s.done
	if v := s.snapshot(); v.Phase != api.PhaseClosed || v.Exit != nil || v.Error != nil {
		t.Errorf("%+v", v)
	}
}

func TestProcesses(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	f.host.processes = crowd()
	list, err := f.b.Processes(t.Context(), api.ProcessesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]api.Process{}
	for _, p := range list {
		seen[p.PID] = p
	}
	if len(list) != 7 || seen[12].PID != 0 || seen[17].PID != 0 {
		t.Errorf("listed: %+v", list)
	}
	if tr := seen[13].Tracer; tr == nil || tr.PID != 49 || tr.Command != "gdb" {
		t.Errorf("tracer of 13: %+v", tr)
	}
	if seen[16].Container == "" || seen[15].User != "bob" || seen[10].Lang != "java" {
		t.Errorf("listed: %+v", list)
	}
	if _, err := f.b.Processes(t.Context(), api.ProcessesRequest{Lang: "cobol"}); asAPI(err).Code != api.CodeUsage {
		t.Errorf("unknown language: %v", err)
	}
}

// did are the calls that began with prefix.
func (h *fakeHost) did(prefix string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, c := range h.calls {
		if strings.HasPrefix(c, prefix) {
			out = append(out, c)
		}
	}
	return out
}
