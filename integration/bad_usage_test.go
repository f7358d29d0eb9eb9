package integration_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
)

// TestWrongUsage: what makes no sense is refused before a daemon is started, with status 2 and a word on what would make sense.
func TestWrongUsage(t *testing.T) {
	t.Parallel()
	s := station{Broker: brokertest.New(t, brokertest.Options{})}
	tests := []struct {
		name string
		args []string
		say  string
	}{
		{"nothing to debug", []string{"open", ":python", "--no-autostart"}, "nothing to debug"},
		{"nothing to debug there", []string{"open", "box:go", "--no-autostart"}, "nothing to debug"},
		{"nothing behind the dashes", []string{"open", ":python", "--"}, "no program"},
		{"unknown language", []string{"open", "box:cobol", "--", "a"}, "unknown language \"cobol\""},
		{"no language", []string{"open", "box", "--", "a"}, "language is missing"},
		{"no host", []string{"open"}, "HOST:LANG"},
		{"program without dashes", []string{"open", ":python", "app.py"}, "--"},
		{"unknown flag", []string{"open", ":python", "--frobnicate", "--", "a"}, "frobnicate"},
		{"unknown command", []string{"opne", ":python"}, "opne"},
		{"two ways to", []string{"open", ":python", "--port", "1234", "--", "a"}, "two ways"},
		{"wait and no-wait", []string{"open", ":python", "--wait", "--no-wait", "--", "a"}, "--no-wait"},
		{"port 0", []string{"open", ":python", "--port", "0"}, "0"},
		{"port too high", []string{"open", ":python", "--port", "65536"}, "65536"},
		{"port no number", []string{"open", ":python", "--port", "http"}, "http"},
		{"local port too high", []string{"open", ":python", "--local-port", "70000", "--", "a"}, "70000"},
		{"ttl no time", []string{"open", ":python", "--ttl", "soon", "--", "a"}, "soon"},
		{"ttl negative", []string{"open", ":python", "--ttl", "-1h", "--", "a"}, "too short"},
		{"ttl zero", []string{"open", ":python", "--ttl", "0", "--", "a"}, "too short"},
		{"ttl too long", []string{"open", ":python", "--ttl", "9000h", "--", "a"}, "30 days"},
		{"env without =", []string{"open", ":python", "--env", "SECRETVALUE", "--", "a"}, "K=V"},
		{"env without name", []string{"open", ":python", "--env", "=SECRETVALUE", "--", "a"}, "K=V"},
		{"env not UTF-8", []string{"open", ":python", "--env", "A=SECRETVALUE\xff", "--", "a"}, "UTF-8"},
		{"argument not UTF-8", []string{"open", ":python", "--", "a", "\xff\xfe"}, "UTF-8"},
		{"map without =", []string{"open", ":python", "--map", "/a", "--", "a"}, "LOCAL=REMOTE"},
		{"empty cwd", []string{"open", ":python", "--cwd", "", "--", "a"}, "--cwd"},
		{"not built: observe", []string{"open", ":python", "--observe", "--", "a"}, "observe"},
		{"sudo without a process", []string{"open", ":python", "--sudo", "--", "a"}, "sudo"},
		{"not built: relay", []string{"open", ":python", "--relay", "auto", "--", "a"}, "relay"},
		{"close nothing", []string{"close"}, "--all"},
		{"close keep", []string{"close", "--keep", "abcdef"}, "keep"},
		{"show nothing", []string{"show"}, "show"},
		{"list with an argument", []string{"list", "x"}, "x"},
		{"show a bad id", []string{"show", "../../etc/passwd"}, "id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := s.complains(t, complaint{2, api.CodeUsage, []string{tt.say}}, tt.args...)
			if strings.Contains(e.Message+e.Hint, "SECRETVALUE") {
				t.Errorf("repeats what may be a secret: %+v", e)
			}
		})
	}
	if _, err := os.Lstat(s.Socket()); err == nil {
		t.Error("a daemon was started for it")
	}
}

// TestUnknownSession: status 3 and the way to the ids, whatever is asked of it.
func TestUnknownSession(t *testing.T) {
	t.Parallel()
	s := station{Broker: brokertest.New(t, brokertest.Options{})}
	for _, verb := range []string{"show", "close", "logs"} {
		t.Run(verb, func(t *testing.T) {
			s.complains(t, complaint{3, api.CodeUnknownSession, []string{"zzzzzz", "brokerctl list"}}, verb, "zzzzzz")
		})
	}
}

// TestRequestsThatCannotBeMeant: the daemon does not rely on brokerctl's judgement. A zero byte cannot come by a command line.
func TestRequestsThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	s := station{Broker: brokertest.New(t, brokertest.Options{})}
	s.OK("list") // starts the daemon
	client := api.NewClient(s.Socket())
	defer client.Close()
	program := []string{"app.py"}
	for name, req := range map[string]api.OpenRequest{
		"zero byte in the program":     {Lang: "python", Program: []string{"a\x00b.py"}},
		"zero byte in an argument":     {Lang: "python", Program: []string{"app.py", "a\x00b"}},
		"zero byte in the environment": {Lang: "python", Program: program, Env: []string{"A=\x00"}},
		"environment without a name":   {Lang: "python", Program: program, Env: []string{"=x"}},
		"zero byte in cwd":             {Lang: "python", Program: program, Cwd: "/a\x00b"},
		"zero byte in the interpreter": {Lang: "python", Program: program, Interpreter: "/a\x00b"},
		"zero byte in the host":        {Host: "a\x00b", Lang: "python", Program: program},
		"unknown language":             {Lang: "cobol", Program: program},
		"nothing to debug":             {Lang: "python"},
		"two ways to":                  {Lang: "python", Program: program, Port: 1},
		"port out of range":            {Lang: "python", Port: 70000},
		"local port out of range":      {Lang: "python", Program: program, LocalPort: 70000},
		"negative local port":          {Lang: "python", Program: program, LocalPort: -1},
		"negative time limit":          {Lang: "python", Program: program, TTL: -1},
		"endless time limit":           {Lang: "python", Program: program, TTL: 1 << 62},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.Open(t.Context(), req, func(api.OpenEvent) {})
			var e *api.Error
			if !errors.As(err, &e) || e.Code != api.CodeUsage {
				t.Errorf("the daemon says %+v", err)
			}
		})
	}
	if all := brokertest.JSON[[]api.Session](s.Broker, "list", "--all"); len(all) != 0 {
		t.Errorf("sessions of them are kept: %+v", all)
	}
}
