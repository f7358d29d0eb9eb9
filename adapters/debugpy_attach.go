package adapters

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"
	"time"
)

// A running python program has debugpy put into it by each front end's own adapter, on standard input and output: only that way works
// again and again on one process.

//go:embed debugpy_attach.py
var debugpyAttach []byte

//go:embed debugpy_target.sh
var debugpyTarget string

const (
	debugpyAttachFile = "debugpy_attach.py"
	debugpyGreeting   = 20 * time.Second // for an adapter to start and answer
)

// debugpyAttachDrop are what debugpy's attach knows beside processId (adapter/clients.py, attach_request and its launch_request): other
// places and programs, and arguments for the process that does the injection.
var debugpyAttachDrop = []string{
	"connect", "listen", "host", "port", "subProcessId", "debugpyArgs", "program", "module", "code", "args", "python", "pythonPath", "pythonArgs", "noDebug",
}

// debugpyAttachProbe asks which python can put debugpy into the program.
func debugpyAttachProbe(r Request) string {
	t := r.Target
	exe, argv0 := "", ""
	if isPython(t) && path.IsAbs(t.Exe) {
		exe = t.Exe
	}
	if len(t.Argv) > 0 {
		argv0 = t.Argv[0]
	}
	var s strings.Builder
	s.WriteString(factFunction + homeFunction + "set -f\nmodule=\nprogram=\n")
	for _, v := range [][2]string{
		{"home", orRoot(r.Host.Home)}, {"here", t.Cwd}, {"path", r.Host.Path}, {"interpreter", r.Interpreter}, {"configured", quoteAll(r.Interpreters...)},
		{"pid", strconv.Itoa(t.PID)}, {"uid", strconv.Itoa(t.UID)}, {"exe", exe}, {"argv0", argv0},
	} {
		s.WriteString(v[0] + "=" + quote(v[1]) + "\n")
	}
	s.WriteString(ptraceScript(t.PID, `"$(command -v gdb)"`) + debugpyTarget + debugpyProbe)
	return s.String()
}

// attach plans the adapters, and a process that stands for the program.
func (d debugpy) attach(r Request, f facts) (Plan, error) {
	if err := d.attachRefusal(r, f); err != nil {
		return Plan{}, err
	}
	interpreter := f.first("interpreter")
	version, _, _ := strings.Cut(f.first("debugpy"), "+")
	p := Plan{
		Server: "debugpy " + version, Protocol: DAP, Network: "stdio", OneClient: true, NeverTerminate: true,
		AttachSet: map[string]any{"processId": r.Target.PID}, AttachDrop: debugpyAttachDrop,
		Cwd: r.Target.Cwd, Program: r.Target.Argv, Stdio: []string{interpreter},
		Files:    []File{{Name: debugpyAttachFile, Data: debugpyAttach}},
		Started:  debugpyGreet,
		Warnings: []string{"processes that the program starts are not debugged along with it"},
	}
	if r.Host.Path != "" {
		p.Env = []string{"PATH=" + r.Host.Path} // where gdb was found
	}
	if knowsFrozenModules(f.first("version")) {
		p.Stdio = append(p.Stdio, "-Xfrozen_modules=off")
	}
	p.Stdio = append(p.Stdio, path.Join(r.Workspace, debugpyAttachFile), r.Target.Start)
	p.standIn(r)
	return p, nil
}

// attachRefusal says why debugpy cannot be put into the program, or nil.
func (d debugpy) attachRefusal(r Request, f facts) error {
	t := r.Target
	found, ok := d.Recognise(t)
	switch {
	case !ok || found.Server:
		return &Error{Foreign, fmt.Sprintf("process %d is no python program", t.PID), "brokerctl ps lists what can be debugged"}
	case r.Host.OS != "linux":
		return &Error{Foreign, "running python programs can be debugged on Linux only", "start it with python -m debugpy --listen 127.0.0.1:PORT, and take --port"}
	case found.Listening != "":
		// debugpy by pid would end the debugpy that is there (server/attach_pid_injected.py).
		_, port, _ := net.SplitHostPort(found.Listening)
		return &Error{Foreign, fmt.Sprintf("process %d runs under debugpy already, which listens on %s", t.PID, found.Listening), "take --port " + port}
	case f.first("cwd_removed") != "":
		return &Error{Foreign, fmt.Sprintf("the working directory of process %d has been removed, and debugpy does not get into a program without one", t.PID),
			"start the program again, in a directory that is there: it was in " + f.first("cwd_removed")}
	}
	if f.first("capabilities") != "" {
		if err := ptraceRefusal(r, f, "debugpy"); err != nil {
			return err
		}
	}
	switch {
	case f.first("interpreter") == "":
		return attachInterpreter(r, f)
	case atLeast(f.first("version"), 3, 14): // sys.remote_exec, without gdb
		return nil
	case f.first("gdb") == "":
		return &Error{Missing, "gdb is not there, with which debugpy gets into a running program", "install it there: apt install gdb, dnf install gdb, apk add gdb"}
	case f.first("gdb_works") == "":
		return gdbRefusal(f.first("gdb_says"), f.first("ptrace_scope"))
	}
	return nil
}

// gdbRefusal says why gdb cannot call a function in another process of the same user.
func gdbRefusal(says, scope string) error {
	if strings.Contains(says, "ptrace: Operation not permitted") || strings.Contains(says, "Could not attach to process") {
		hint := "--sudo works through sudo -n there; in a container, the capability SYS_PTRACE is missing"
		if s := strings.TrimSpace(scope); s != "" && s != "0" {
			hint = "kernel.yama.ptrace_scope is " + s + ": `sysctl kernel.yama.ptrace_scope=0` there, as root, allows it; or --sudo"
			if s == "3" {
				hint = "kernel.yama.ptrace_scope is 3, which only a restart of the host changes"
			}
		}
		return &Error{Denied, "gdb may not trace processes there: " + says, hint}
	}
	message := "gdb cannot call a function in another process there, and so debugpy does not get in"
	if says != "" {
		message += ": " + says
	}
	return &Error{Missing, message, "a newer gdb (14 or later) knows newer processors; nothing has touched the program"}
}

// attachInterpreter says that no python fits the program's.
func attachInterpreter(r Request, f facts) error {
	err := interpreterRefusal(r.Interpreter, f["tried"])
	want := f.first("target_version")
	e, ok := err.(*Error)
	if !ok || want == "" {
		return err
	}
	if r.Interpreter == "" {
		e.Message = strings.Replace(e.Message, "no python that can import debugpy", "no python "+want+", as the program is, that can import debugpy", 1)
	}
	e.Hint = "install debugpy for python " + want + " there: PYTHON -m pip install debugpy; another python " + want + " is named with --interpreter"
	return e
}

// debugpyGreet proves that the interpreter runs the adapter. It does not touch the program.
func debugpyGreet(ctx context.Context, dial Dial) (Started, error) {
	ctx, cancel := context.WithTimeout(ctx, debugpyGreeting)
	defer cancel()
	conn, err := dial(ctx)
	if err != nil {
		return Started{}, fmt.Errorf("start debugpy's adapter: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	v := visit{in: bufio.NewReader(conn), out: conn}
	for _, ask := range [][2]string{{"initialize", `{"adapterID":"debugbroker","pathFormat":"path"}`}, {"disconnect", `{"terminateDebuggee":false}`}} {
		if _, err := v.ask(ask[0], ask[1], ""); err != nil {
			return Started{}, fmt.Errorf("ask debugpy's adapter: %w", err)
		}
	}
	return Started{}, nil
}
