package adapters

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/debugbroker/debugbroker/adapters/dlvrpc"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// portPlan starts a Delve as a user would, and plans a session on its port.
func portPlan(t *testing.T, args ...string) (*server, Plan) {
	t.Helper()
	given := Plan{Argv: append([]string{tools.NeedDlv(t)}, args...), Ready: Ready{Line: regexp.MustCompile(`server listening at: (?P<addr>\S+)`)}, Network: "tcp", Spare: true}
	s := launch(t, given)
	port, err := strconv.Atoi(regexp.MustCompile(`\d+$`).FindString(s.address))
	must(t, "port", err)
	req := probed(t, NewDelve(), Request{Mode: Port, Port: port, Host: here(t)}, "/bin/sh")
	plan, err := NewDelve().Plan(req)
	must(t, "plan", err)
	return s, plan
}

// The breakpoints that others have set on a server of theirs outlive our front end; ours do not.
func TestDelvePortShared(t *testing.T) {
	s, plan := portPlan(t, "exec", "--headless", "--accept-multiclient", "--listen=127.0.0.1:0", goProgram(t), "--", "100000", "0")
	started, err := plan.Started(t.Context(), s.dial)
	must(t, "started", err)
	if started.PID == 0 {
		t.Error("no pid")
	}
	must(t, "before first", plan.BeforeFirst(t.Context(), s.dial))
	theirs := s.attached(goprogSource(t), tickLine-1)
	theirs.stopped()
	theirs.Disconnect(false)

	must(t, "before first", plan.BeforeFirst(t.Context(), s.dial))
	conn, err := s.dial(t.Context())
	must(t, "dial", err)
	rpc := dlvrpc.New(conn)
	defer rpc.Close()
	all, err := rpc.Breakpoints(t.Context())
	must(t, "breakpoints", err)
	ours := s.front()
	ours.Initialize()
	ours.Attach(attachArguments(nil))
	must(t, "breakpoint", ours.Call(t.Context(), "setFunctionBreakpoints", dict{"breakpoints": []dict{{"name": "main.main"}}}, nil))
	more, err := rpc.Breakpoints(t.Context())
	must(t, "breakpoints", err)
	if len(more) != len(all)+1 {
		t.Fatalf("%d breakpoints, then %d", len(all), len(more))
	}
	ours.Disconnect(false)
	// The program soon stands at their breakpoint again, where it is no business of ours to let it run on for ever.
	if err := plan.AfterLast(t.Context(), s.dial); err != nil {
		t.Logf("after last: %v", err)
	}
	if _, _, err := quiet(t.Context(), rpc); err != nil {
		t.Fatal(err)
	}
	left, err := rpc.Breakpoints(t.Context())
	must(t, "breakpoints", err)
	if len(left) != len(all) {
		t.Errorf("%d breakpoints are left, want %d", len(left), len(all))
	}
}

// A server for one client is not spoken to: our connection would be the only one that it takes.
func TestDelvePortOfOneClient(t *testing.T) {
	bin := goProgram(t)
	for name, c := range map[string]struct {
		args []string
		rpc  bool
	}{
		"headless": {[]string{"exec", "--headless", "--listen=127.0.0.1:0", bin, "--", "100000", "0"}, true},
		"dap":      {[]string{"dap", "--listen=127.0.0.1:0"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, plan := portPlan(t, c.args...)
			if plan.Started != nil || plan.BeforeFirst != nil || plan.AfterLast != nil || plan.Watch != nil || !plan.OneClient || len(plan.Warnings) == 0 || plan.RPC != c.rpc {
				t.Errorf("plan %+v", plan)
			}
			if c.rpc {
				// Ended by a signal before it has its program, Delve leaves it behind.
				must(t, "stop", newDelveTalk(false).stop(t.Context(), s.dial))
				<-s.ended
			}
		})
	}
}
