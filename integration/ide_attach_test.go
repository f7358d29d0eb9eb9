package integration_test

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/frontend"
	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// visit attaches with a configuration as it was read, stops at a breakpoint in the local copy, and leaves. The mapping works both ways: the
// breakpoint is found there, and the place where the program stands is told as the file here.
func (e elsewhere) visit(who string, r reading, s api.Session, runsOn func()) {
	e.t.Helper()
	e.sameAddress(who, r.addr, s)
	d := expect.DialDAP(e.t, r.addr)
	d.Begin(r.args, e.source(), e.line)
	stop := d.WaitStopped("breakpoint")
	frames := d.Stack(stop.ThreadId)
	if len(frames) == 0 || frames[0].Source == nil || frames[0].Source.Path != e.source() || frames[0].Line != e.line {
		e.t.Errorf("%s: it stands at %+v, not at %s:%d", who, frames, e.source(), e.line)
	}
	d.Disconnect(false)
	runsOn()
}

func TestIDEPython(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	e := newElsewhere(t, "python/ticker.py", sshd.Options{})
	s := e.launch("python", []string{"--interpreter", python}, e.file)
	for _, name := range slices.Sorted(maps.Keys(readers())) {
		t.Run(name, func(t *testing.T) {
			e := e.in(t)
			e.visit(name, readers()[name](e, s), s, func() { e.runsOn(s) })
		})
	}
	e.Close(s.ID)

	port := freeport.On127(t)
	h := startByHand(t, port, "tick", python, "-Xfrozen_modules=off", "-m", "debugpy", "--listen", "127.0.0.1:"+strconv.Itoa(port), filepath.Join(e.remote, e.file))
	s = e.port("python", port)
	e.visit("vscode, --port", e.readVSCode(s), s, h.runsOn) // the launched session's entry has been replaced
	e.Close(s.ID)
	h.runsOn()
}

func TestIDEPythonPID(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	e := newElsewhere(t, "python/ticker.py", sshd.Options{Env: map[string]string{"PATH": tools.NeedGdb(t)}})
	h := startByHand(t, 0, "tick", python, filepath.Join(e.remote, e.file))
	s := e.pid("python", python, h.cmd.Process.Pid)
	e.visit("vscode, --pid", e.readVSCode(s), s, h.runsOn)
	e.Close(s.ID)
	h.runsOn()
}

func TestIDEGo(t *testing.T) {
	t.Parallel()
	dlv := tools.NeedDlv(t)
	e := newElsewhere(t, "go/ticker/main.go", sshd.Options{})
	s := e.launch("go", []string{"--interpreter", dlv}, "./"+e.file)
	for _, name := range []string{"vscode", "zed", "nvim", "emacs"} {
		t.Run(name, func(t *testing.T) {
			e := e.in(t)
			e.visit(name, readers()[name](e, s), s, func() { e.runsOn(s) })
		})
	}
	e.sameAddress("jetbrains", e.readJetBrains(s).addr, s) // GoLand speaks as `dlv connect` does
	e.cliGo(s, dlv, func() { e.runsOn(s) })
	e.Close(s.ID)

	port := freeport.On127(t)
	h := startByHand(t, port, "tick", dlv, "exec", "--headless", "--accept-multiclient", "--continue", "--listen=127.0.0.1:"+strconv.Itoa(port), e.buildThere())
	s = e.port("go", port)
	e.visit("vscode, --port", e.readVSCode(s), s, h.runsOn)
	e.Close(s.ID)
	h.runsOn()

	p := startByHand(t, 0, "tick", e.buildThere())
	s = e.pid("go", dlv, p.cmd.Process.Pid)
	e.visit("vscode, --pid", e.readVSCode(s), s, p.runsOn)
	e.Close(s.ID)
	p.runsOn()
}

// buildThere builds the program from its remote source.
func (e elsewhere) buildThere() string {
	e.t.Helper()
	bin := filepath.Join(e.t.TempDir(), "ticker")
	e.run(e.remote, nil, "env", "HOME="+os.Getenv("HOME"), "go", "build", "-gcflags=all=-N -l", "-o", bin, "./"+e.file)
	return bin
}

// cliGo runs the printed command, and at its prompt what the note says.
func (e elsewhere) cliGo(s api.Session, dlv string, runsOn func()) {
	e.t.Helper()
	conf := e.config(s, "cli")
	if len(conf.Notes) != 1 {
		e.t.Fatalf("notes: %q", conf.Notes)
	}
	_, mapping, _ := strings.Cut(conf.Notes[0], ": ")
	c := expect.StartLine(e.t, strings.TrimSpace(conf.Text), filepath.Dir(dlv)+":"+os.Getenv("PATH"), `\(dlv\) `)
	c.Ask(mapping, `\(dlv\) `)
	c.Ask("break "+e.file+":"+strconv.Itoa(e.line), `Breakpoint \d+ set`)
	c.Ask("continue", `> .*main\.tick\(\)`)
	c.Ask("list", `// BREAK`) // the source is found here, in a directory that the host does not have
	c.Kill()
	runsOn()
}

// TestIDENode: the editors' configurations are all js-debug's, which TestVSCodeNode plays in VS Code itself.
func TestIDENode(t *testing.T) {
	t.Parallel()
	node := tools.Need(t, tools.Node)
	e := newElsewhere(t, "node/ticker.js", sshd.Options{})
	s := e.launch("node", []string{"--interpreter", node, "--no-wait"}, e.file)
	all := readers()
	want := all["vscode"](e, s)
	for name, read := range all {
		r := read(e, s)
		e.sameAddress(name, r.addr, s)
		for _, key := range []string{"address", "port", "localRoot", "remoteRoot", "continueOnAttach", "autoAttachChildProcesses", "attachExistingChildren"} {
			if r.args != nil && (want.args[key] == nil || !reflect.DeepEqual(r.args[key], want.args[key])) {
				t.Errorf("%s: %s is %v, for VS Code %v", name, key, r.args[key], want.args[key])
			}
		}
	}
	remote := "file://" + filepath.Join(e.remote, e.file)

	// Chrome asks the address for its targets, and opens the websocket that it is told.
	c := e.config(s, "chrome")
	if c.Config["address"] != s.Local || c.Config["targets"] != "http://"+s.Local+"/json/list" || strings.TrimSpace(c.Text) != s.Local {
		t.Errorf("Chrome is told %+v", c)
	}
	url, err := frontend.CDPTarget(t.Context(), strings.TrimSpace(c.Text))
	if err != nil {
		t.Fatal(err)
	}
	d := expect.DialCDPAt(t, url)
	d.Start()
	d.SetBreakpoint(remote, e.line)
	d.WaitPaused()
	d.CDP.Close()
	e.runsOn(s)

	line := strings.TrimSpace(e.brokerctl("ide", s.ID, "--for", "cli"))
	n := expect.StartLine(t, line, filepath.Dir(node)+":"+os.Getenv("PATH"), `debug> `)
	// The program may hit it before the lines around it are shown, which is the answer.
	n.Ask("setBreakpoint('"+e.file+"', "+strconv.Itoa(e.line)+")", `break in [^\n]*`+e.file+`:`+strconv.Itoa(e.line))
	n.Kill()
	e.runsOn(s)
	e.Close(s.ID)
}

func TestIDEJava(t *testing.T) {
	t.Parallel()
	jdk := tools.Need(t, tools.Java)
	e := newElsewhere(t, "java/Ticker.java", sshd.Options{})
	s := e.launch("java", []string{"--interpreter", jdk.Java, "--no-wait"}, "-cp", programs.BuildJava(t, jdk), "Ticker")
	for name, read := range readers() {
		e.sameAddress(name, read(e, s).addr, s)
	}
	line := strings.TrimSpace(e.brokerctl("ide", s.ID, "--for", "cli"))
	c := expect.StartLine(t, line, filepath.Dir(jdk.Jdb)+":"+os.Getenv("PATH"), `(?m)^(> |\S+\[\d+\] )`)
	c.Ask("stop at Ticker:"+strconv.Itoa(e.line), `(?s)Breakpoint hit: .*Ticker\.tick\(\), line`)
	c.Ask("list", `// BREAK`) // from -sourcepath
	c.Quit("quit")
	e.runsOn(s)
	e.Close(s.ID)
}
