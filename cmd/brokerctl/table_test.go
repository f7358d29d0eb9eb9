package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/debugbroker/debugbroker/broker/api"
)

// At 80 columns each list says what matters: which session, where to attach, what is debugged.
func TestTablesFitTheScreen(t *testing.T) {
	now := time.Now()
	pid := 1234567
	sessions := []api.Session{
		{ID: "k3f9x2", Host: "web1", Lang: "python", Phase: api.PhaseAttached, Local: "127.0.0.1:41234", PID: &pid, Command: []string{"python3", "app.py", "--verbose"}, Created: now, Expires: now.Add(8 * time.Hour)},
		{ID: "p3f9x2", Host: "web1", Lang: "go", Mode: "port", Remote: "127.0.0.1:5678", Phase: api.PhaseReady, Local: "127.0.0.1:41235", Created: now},
	}
	long := api.Session{ID: "q3f9x2", Host: "deploy@build-17.eu-central.example.com", Lang: "node", Phase: api.PhaseReady, Local: "127.0.0.1:41236", Command: []string{"server.js"}, Created: now}
	hosts := []api.Host{{Name: "web1", HostName: "web1.example.com", User: "me", Port: 22}, {Name: strings.Repeat("n", 40), HostName: strings.Repeat("h", 60), User: "deploy", Port: 2222, Sessions: 3}}
	down := []api.Host{{Name: "web1", HostName: "web1.example.com", User: "me", Port: 22, Link: &api.Link{State: "needs-auth", Error: &api.Error{Message: "web1 asks for a password"}}}}
	processes := []api.Process{{PID: 4242, Lang: "python", User: "www-data", Command: []string{"/usr/bin/python3", "/srv/app.py"}, Container: "docker 3f2a91c0ffee"}, {PID: 4243, Lang: "python", User: "www-data", Command: []string{"b"}}}
	for _, c := range []struct {
		name  string
		lines []string
		has   []string
	}{
		{"list", sessionTable(sessions, now, 80), []string{"k3f9x2", "web1", "127.0.0.1:41234", "python3 app.py --verbo", "port 5678"}},
		{"list of a long host", sessionTable(append(sessions, long), now, 80), []string{"127.0.0.1:41236", "deploy@build-17…", "server.js"}},
		{"hosts", hostTable(hosts, 80), []string{"web1.example.com", "SESSIONS"}},
		{"hosts that are not up", hostTable(append(down, hosts[0]), 80), []string{"needs-auth", "web1 asks for a passwo"}},
		{"ps", processTable(processes, 80), []string{"4242", "docker 3f2a91c0ffee", "/usr/bin/python3 /srv/a"}},
	} {
		text := strings.Join(c.lines, "\n")
		for _, line := range c.lines {
			if n := utf8.RuneCountInString(line); n > 80 {
				t.Errorf("%s: a line of %d columns: %q", c.name, n, line)
			}
		}
		for _, want := range c.has {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, text)
			}
		}
	}
	whole := sessionTable(sessions, now, 0)[0]
	for _, name := range []string{"CLIENTS", "AGE", "PID", "EXPIRES"} {
		if !strings.Contains(whole, name) {
			t.Errorf("without a terminal there is no %s: %s", name, whole)
		}
	}
}
