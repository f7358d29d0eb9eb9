package integration_test

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// TestThisMachine opens a session of each language without SSH.
func TestThisMachine(t *testing.T) {
	t.Parallel()
	python, node, jdk, dlv := tools.Need(t, tools.Python), tools.Need(t, tools.Node), tools.Need(t, tools.Java), tools.NeedDlv(t)
	b := brokertest.New(t, brokertest.Options{})
	left := b.Leftovers()

	path := programs.Path(t, "python/ticker.py")
	s := b.Open(":python", "--interpreter", python, "--", path)
	if s.Host != "" || s.Link == nil || s.Link.State != "local" {
		t.Errorf("session: %+v", s)
	}
	d := expect.DialDAP(t, s.Local)
	d.Begin(pythonAttach(), path, programs.BreakLine(t, path))
	d.WaitStopped("breakpoint")
	b.Close(s.ID)

	path = programs.Path(t, "go/ticker/main.go")
	s = b.Open(":go", "--interpreter", dlv, "--", programs.BuildGo(t, "ticker"))
	d = expect.DialDAP(t, s.Local)
	d.Begin(delveAttach(), path, programs.BreakLine(t, path))
	d.WaitStopped("breakpoint")
	b.Close(s.ID)

	path = programs.Path(t, "node/ticker.js")
	s = b.Open(":node", "--interpreter", node, "--", path)
	c := expect.DialCDP(t, s.Local)
	c.Start()
	c.WaitPaused()
	c.SetBreakpoint("file://"+path, programs.BreakLine(t, path))
	c.Resume()
	c.WaitPaused()
	b.Close(s.ID)

	path = programs.Path(t, "java/Ticker.java")
	s = b.Open(":java", "--interpreter", jdk.Java, "--", "-cp", programs.BuildJava(t, jdk), "Ticker")
	j := expect.StartJdb(t, jdk.Jdb, s.Local, filepath.Dir(path))
	j.AwaitSuspended()
	j.Ask("stop at Ticker:"+strconv.Itoa(programs.BreakLine(t, path)), `Set (deferred )?breakpoint|Deferring breakpoint`)
	j.Ask("run", `Breakpoint hit`)
	b.Close(s.ID)
	left.Check()
}
