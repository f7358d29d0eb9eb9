package integration_test

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// attachKind is a running program in one language: how it is started by somebody else, and how a front end stands at a breakpoint of it.
type attachKind struct {
	lang string
	argv []string
	open []string // flags of open
	path string   // PATH on the host, "" is this one's
	// stops has a front end stop the program at its breakpoint. leave takes leave as front ends do; crash drops the connection.
	stops func(t *testing.T, addr string) (leave, crash func())
}

func attachKinds(t *testing.T) []attachKind {
	t.Helper()
	return []attachKind{attachPython(t), attachGo(t), attachNode(t), attachJava(t)}
}

func stopsWithDAP(args map[string]any, path string) func(*testing.T, string) (leave, crash func()) {
	return func(t *testing.T, addr string) (leave, crash func()) {
		d := expect.DialDAP(t, addr)
		d.Begin(args, path, programs.BreakLine(t, path))
		d.WaitStopped("breakpoint")
		return func() { d.Disconnect(false) }, func() { d.DAP.Close() }
	}
}

func attachPython(t *testing.T) attachKind {
	t.Helper()
	path := programs.Path(t, "python/ticker.py")
	return attachKind{"python", []string{tools.Need(t, tools.Python), path}, nil, tools.NeedGdb(t), stopsWithDAP(pythonAttach(), path)}
}

func attachGo(t *testing.T) attachKind {
	t.Helper()
	dlv := tools.NeedDlv(t)
	return attachKind{"go", []string{programs.BuildGo(t, "ticker")}, []string{"--interpreter", dlv}, "", stopsWithDAP(delveAttach(), programs.Path(t, "go/ticker/main.go"))}
}

func attachNode(t *testing.T) attachKind {
	t.Helper()
	path := programs.Path(t, "node/ticker.js")
	// With a port of their own, tests do not stand in each other's way at 9229.
	return attachKind{"node", []string{tools.Need(t, tools.Node), "--inspect-port=0", path}, nil, "", func(t *testing.T, addr string) (leave, crash func()) {
		c := expect.DialCDP(t, addr)
		c.Start()
		c.SetBreakpoint("file://"+path, programs.BreakLine(t, path))
		c.WaitPaused()
		return c.Abort, c.Abort // an inspector has no farewell
	}}
}

func attachJava(t *testing.T) attachKind {
	t.Helper()
	jdk := tools.Need(t, tools.Java)
	path := programs.Path(t, "java/Ticker.java")
	argv := []string{jdk.Java, "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,onjcmd=y,address=127.0.0.1:" + strconv.Itoa(freeport.On127(t)), "-cp", programs.BuildJava(t, jdk), "Ticker"}
	return attachKind{"java", argv, nil, "", func(t *testing.T, addr string) (leave, crash func()) {
		c := expect.StartJdb(t, jdk.Jdb, addr, filepath.Dir(path))
		c.Ask("stop at Ticker:"+strconv.Itoa(programs.BreakLine(t, path)), `(?s)Breakpoint hit: .*Ticker\.tick\(\), line`)
		return func() { c.Quit("quit") }, c.Kill
	}}
}

// options are those of an sshd that has what the kind needs.
func (k attachKind) options() sshd.Options {
	if k.path == "" {
		return sshd.Options{}
	}
	return sshd.Options{Env: map[string]string{"PATH": k.path}}
}

// environ is the same for a broker on this machine.
func (k attachKind) environ() []string {
	if k.path == "" {
		return nil
	}
	return []string{"PATH=" + k.path}
}

// start starts the program as its own user would, and waits until it ticks.
func (k attachKind) start(t *testing.T) *byHand {
	t.Helper()
	return startByHand(t, 0, "tick", k.argv...)
}

// attach opens a session on the program.
func (k attachKind) attach(t *testing.T, b interface{ Open(...string) api.Session }, host string, h *byHand, flags ...string) api.Session {
	t.Helper()
	v := b.Open(append([]string{host + ":" + k.lang, "--pid", strconv.Itoa(h.cmd.Process.Pid)}, append(k.open, flags...)...)...)
	if v.Mode != "attach" || v.PID == nil || *v.PID != h.cmd.Process.Pid || v.Cwd == "" || len(v.Command) == 0 {
		t.Errorf("session: %+v", v)
	}
	return v
}
