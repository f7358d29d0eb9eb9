package adapters

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/integration/executable"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// pythonTicker is a program with names that debugpy's injected code has too, and with children. Line 9 is in its loop.
const pythonTicker = `import os, subprocess, sys, time

setup = json = "mine"


def tick(i):
    double = i * 2
    if i % 10 == 0:
        print("child", subprocess.call([sys.executable, "-c", "pass"]), setup, json, flush=True)
    print("tick", i, double, flush=True)


i = 0
while True:
    tick(i)
    i += 1
    time.sleep(0.02)
`

const printLine = 10 // print("tick"

var children = regexp.MustCompile(`^child 0 mine mine$`)

// withGdb is this machine as a host whose login shell finds a gdb that works.
func withGdb(t testing.TB) Host {
	h := here(t)
	h.Path = tools.NeedGdb(t)
	return h
}

// pythonProgram runs a program under a plain python.
func pythonProgram(t *testing.T, source string) (s *server, file string) {
	t.Helper()
	file = script(t, source)
	s = runs(t, filepath.Dir(file), nil, tools.Need(t, tools.Python), file)
	s.line("first tick", ticks.MatchString)
	return s, file
}

// attachedPID opens a front end as the proxy lets it through.
func (s *server) attachedPID(file string, lines ...int) front {
	s.t.Helper()
	f := s.front()
	args := dict{"justMyCode": true}
	for name, v := range s.plan.AttachSet {
		args[name] = v
	}
	f.Begin(args, file, lines...)
	return f
}

// A front end comes, stops the program, steps, and leaves, drops, or is closed by the broker: the program runs on as it was, its
// children too, and all that works again on the same process.
func TestDebugpyAttach(t *testing.T) {
	program, file := pythonProgram(t, pythonTicker)
	target := program.target()
	guard := attachTo(t, NewDebugpy(), Request{Target: target, Host: withGdb(t)})
	if guard.plan.AttachSet["processId"] != target.PID || !guard.plan.Stands || !guard.plan.NeverTerminate || guard.plan.Network != "stdio" {
		t.Fatalf("plan:\n%s", render(guard.plan))
	}
	for _, way := range []string{"leaves", "drops", "leaves", "drops"} {
		f := guard.attachedPID(file, printLine)
		s := f.stopped()
		if s.frame.Line != printLine || s.locals["double"] == "" {
			t.Errorf("%s: stopped at %+v", way, s)
		}
		n := program.count(ticks)
		f.next(s)
		if got := program.count(ticks); got > n+1 {
			t.Errorf("%s: %d ticks while it was stopped", way, got-n)
		}
		if way == "leaves" {
			f.Disconnect(false)
		}
		must(t, "close", f.Close())
		program.goesOn(ticks, 5)
		program.goesOn(children, 2)
	}
	// Children of a stopped program's time, and of its running under a front end.
	f := guard.attachedPID(file)
	program.goesOn(children, 2)
	must(t, "close", f.Close())
	program.goesOn(children, 2)
	guard.leave()
	program.goesOn(children, 2)
}

// What has come up since the session was opened ends the front end's attach by name, long before debugpy's time-out, and nothing touches
// the program.
func TestDebugpyAttachTooLate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(dir string, plan *Plan)
		says   string
	}{
		"directory": {func(dir string, _ *Plan) { must(t, "remove", os.RemoveAll(dir)) }, "has been removed, and debugpy does not get into a program without one: it was in "},
		"pid": {func(_ string, p *Plan) {
			p.Stdio = slices.Clone(p.Stdio)
			p.Stdio[len(p.Stdio)-1] += "0"
		}, "has ended, and another has its pid"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t) + "/release"
			must(t, "mkdir", os.Mkdir(dir, 0o700))
			file := script(t, pythonTicker)
			program := runs(t, dir, nil, tools.Need(t, tools.Python), file)
			program.line("first tick", ticks.MatchString)
			guard := attachTo(t, NewDebugpy(), Request{Target: program.target(), Host: withGdb(t)})
			c.change(dir, &guard.plan)
			f := guard.front()
			f.Initialize()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			err := f.DAP.DAP.Attach(ctx, guard.plan.AttachSet)
			cancel()
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("attach: %v", err)
			}
			must(t, "close", f.Close())
			maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", program.cmd.Process.Pid))
			must(t, "maps", err)
			if strings.Contains(string(maps), "attach_linux") {
				t.Error("pydevd's library is in the program")
			}
			program.goesOn(children, 1)
			if n := program.count(regexp.MustCompile(`Traceback|Error`)); n > 0 {
				t.Errorf("output:\n%s", program.output())
			}
		})
	}
}

// What is put into a program does nothing in one that is not meant: gdb may have got another with the same pid.
func TestDebugpyAttachLooksFromInside(t *testing.T) {
	python := tools.Need(t, tools.Python)
	dir := shortDir(t)
	must(t, "write", os.WriteFile(dir+"/"+debugpyAttachFile, debugpyAttach, 0o600))
	for start, want := range map[string]string{"own": "in\n", "7": ""} {
		cmd := exec.Command(python, "-B", "-c", `import sys, debugpy_attach
own = open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19]
start = own if sys.argv[1] == "own" else sys.argv[1]
exec(debugpy_attach.GUARD % (start, start, "print('in')"), dict())`, start)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("%s: %q, %v", start, out, err)
		}
	}
}

// A front end that drops while debugpy is being put into the program does the program no harm, and the next one finds everything as it
// was. (gdb takes some 100 ms; each round drops a little later.)
func TestDebugpyAttachInterrupted(t *testing.T) {
	program, file := pythonProgram(t, pythonTicker)
	guard := attachTo(t, NewDebugpy(), Request{Target: program.target(), Host: withGdb(t)})
	for round := range 8 {
		f := guard.front()
		f.Initialize()
		n := program.count(ticks)
		f.send("attach", guard.plan.AttachSet)
		// The program's own output is the clock.
		program.goesOn(ticks, 1)
		for program.count(ticks) < n+round && !program.gone() {
			program.goesOn(ticks, 1)
		}
		must(t, "close", f.Close())
		program.goesOn(ticks, 20)
	}
	f := guard.attachedPID(file, printLine)
	f.stopped()
	must(t, "close", f.Close())
	program.goesOn(children, 2)
	if n := program.count(regexp.MustCompile(`Traceback|Error`)); n > 0 {
		t.Errorf("output:\n%s", program.output())
	}
}

// A process that is forked under a front end goes its own way: it does not stop at the front end's breakpoints, where nobody could let
// it go on.
func TestDebugpyAttachForks(t *testing.T) {
	program, file := pythonProgram(t, `import os, time


def work():
    return 7  # line 5


i = 0
while True:
    pid = os.fork()
    if pid == 0:
        os._exit(work())
    print("tick", i, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    i += 1
    time.sleep(0.05)
`)
	guard := attachTo(t, NewDebugpy(), Request{Target: program.target(), Host: withGdb(t)})
	f := guard.attachedPID(file, 5)
	program.goesOn(regexp.MustCompile(`^tick \d+ 7$`), 5)
	must(t, "close", f.Close())
	program.goesOn(regexp.MustCompile(`^tick \d+ 7$`), 5)
}

// The interpreter that a program runs under is found through its virtual environment, and one of another version is refused.
func TestDebugpyAttachInterpreter(t *testing.T) {
	python := tools.Need(t, tools.Python)
	host := withGdb(t)
	venv := shortDir(t) + "/venv"
	if out, err := exec.Command(python, "-m", "venv", "--without-pip", "--system-site-packages", venv).CombinedOutput(); err != nil {
		t.Fatalf("venv: %v\n%s", err, out)
	}
	for name, argv := range map[string][]string{"path": {venv + "/bin/python"}, "name": {"python"}, "relative": {"venv/bin/python"}} {
		t.Run(name, func(t *testing.T) {
			file := script(t, pythonTicker)
			cmd := Plan{Argv: append([]string{"/usr/bin/env"}, append(argv, file)...), Env: []string{"PATH=" + venv + "/bin:" + os.Getenv("PATH")}, Cwd: filepath.Dir(venv)}
			program := start(t, cmd)
			program.line("first tick", ticks.MatchString)
			plan, err := planAttach(t, NewDebugpy(), Request{Target: program.target(), Host: host})
			must(t, "plan", err)
			if got := plan.Stdio[0]; got != venv+"/bin/python" {
				t.Errorf("interpreter %s", got)
			}
		})
	}
	t.Run("other version", func(t *testing.T) {
		program, _ := pythonProgram(t, pythonTicker)
		fake := fakePython(t, shortDir(t)+"/python3", `printf '\nDBG:3.1.4:1.8.0:\n'`)
		_, err := planAttach(t, NewDebugpy(), Request{Target: program.target(), Host: host, Interpreter: fake})
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != Missing || !strings.Contains(refused.Message, "another version (3.1.4)") {
			t.Errorf("%v", err)
		}
	})
}

// The probe says the same by every shell.
func TestDebugpyAttachShells(t *testing.T) {
	program, _ := pythonProgram(t, pythonTicker)
	host := withGdb(t)
	for _, shell := range shells(t) {
		req := Request{Mode: Attach, Target: program.target(), Host: host}
		f := parseFacts(probed(t, NewDebugpy(), req, shell).Facts[debugpyKey])
		if f.first("gdb_works") != "yes" || f.first("interpreter") == "" || !strings.HasPrefix(f.first("version"), f.first("target_version")+".") {
			t.Errorf("%s: %q", shell, f)
		}
	}
}

// Whatever is missing, the program is not touched.
func TestDebugpyAttachRefusals(t *testing.T) {
	program, _ := pythonProgram(t, pythonTicker)
	target, good := program.target(), withGdb(t)
	bin := func(gdb string) Host {
		h, dir := good, shortDir(t)
		executable.Write(t, dir+"/gdb", []byte("#!/bin/sh\n"+gdb))
		h.Path = dir + ":" + h.Path
		return h
	}
	none := good
	none.Path = shortDir(t)
	for _, tool := range []string{"timeout", "sed", "head", "id", "readlink", "tr", "tail", "cat", "date", "grep", "cut"} {
		p, err := exec.LookPath(tool)
		must(t, tool, err)
		must(t, tool, os.Symlink(p, none.Path+"/"+tool))
	}
	for name, c := range map[string]struct {
		host Host
		code Code
		says string
	}{
		"no gdb":  {none, Missing, "gdb is not there"},
		"old gdb": {bin(`echo "Couldn't write extended state status: Bad address."`), Missing, "extended state"},
		"ptrace":  {bin(`echo "ptrace: Operation not permitted."`), Denied, "Operation not permitted"},
		"silent":  {bin(`exit 1`), Missing, "gdb cannot call"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := planAttach(t, NewDebugpy(), Request{Target: target, Host: c.host})
			var refused *Error
			if !errors.As(err, &refused) || refused.Code != c.code || !strings.Contains(refused.Message, c.says) || refused.Hint == "" {
				t.Errorf("%#v", err)
			}
		})
	}
	t.Run("gone", func(t *testing.T) {
		gone := target
		gone.Start += "0"
		plan, err := planAttach(t, NewDebugpy(), Request{Target: gone, Host: good})
		must(t, "plan", err)
		guard := start(t, plan)
		guard.exit()
		if f, ok := failed(plan, guard.output()); !ok || f.Code != NotFound {
			t.Errorf("output:\n%s", guard.output())
		}
	})
	program.goesOn(ticks, 3)
	t.Run("ends", func(t *testing.T) {
		guard := attachTo(t, NewDebugpy(), Request{Target: target, Host: good})
		must(t, "kill", program.cmd.Process.Kill())
		if got := guard.exit(); got != 0 {
			t.Errorf("exit %d; output:\n%s", got, guard.output())
		}
	})
}

func TestDebugpyRecognise(t *testing.T) {
	python := func(argv ...string) Running {
		return Running{Exe: "/usr/bin/python3.11", Argv: append([]string{"python3"}, argv...)}
	}
	for _, c := range []struct {
		r    Running
		ok   bool
		want Found
	}{
		{python("app.py"), true, Found{}},
		{python("-c", "x", "/debugpy/adapter"), true, Found{}},
		{Running{Exe: "/usr/bin/pypy3"}, true, Found{}},
		{Running{Argv: []string{"/opt/python2.7", "x"}}, true, Found{}},
		{Running{Exe: "/usr/bin/uwsgi", Marks: []string{"libpython"}, Argv: []string{"uwsgi", "-m", "x"}}, true, Found{}},
		{Running{Exe: "/usr/bin/gdb", Marks: []string{"libpython"}}, false, Found{}},
		{Running{Exe: "/usr/bin/pythonista"}, false, Found{}},
		{Running{}, false, Found{}},
		{python("-Xfrozen_modules=off", "-W", "ignore", "/x/debugpy/adapter", "--for-server", "1", "--host", "127.0.0.1", "--port", "5678"), true, Found{Server: true, Listening: "127.0.0.1:5678"}},
		{python("/x/debugpy/adapter", "--port=0").on("127.0.0.1:9"), true, Found{Server: true, Listening: "127.0.0.1:9"}},
		{python("/x/debugpy/adapter", "--port=0").on("127.0.0.1:9", "127.0.0.1:8"), true, Found{Server: true}},
		{python("-m", "debugpy.adapter"), true, Found{Server: true}},
		{python("/tmp/dbk-x/debugpy_attach.py"), true, Found{Server: true}},
		{python("/home/u/debugpy_attach.py"), true, Found{}},
		{python("-m", "debugpy", "--listen", "5678", "app.py"), true, Found{Listening: "127.0.0.1:5678"}},
		{python("-m", "debugpy", "--listen", "0.0.0.0:7", "app.py"), true, Found{Listening: "0.0.0.0:7"}},
		{python("-m", "debugpy", "--listen", "127.0.0.1:0", "app.py"), true, Found{}},
		{python("/x/debugpy", "--connect", "127.0.0.1:7", "--pid", "9"), true, Found{Server: true}},
		{python("-m"), true, Found{}},
	} {
		if got, ok := NewDebugpy().Recognise(c.r); ok != c.ok || got != c.want {
			t.Errorf("%+v: %+v, %t", c.r, got, ok)
		}
	}
}
