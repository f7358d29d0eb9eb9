package proxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/integration/tools"
)

// stdio is a connection to a process's standard input and output.
type stdio struct {
	net.Conn // our end of a pipe to its output
	in       io.WriteCloser
}

func (s stdio) Write(b []byte) (int, error) { return s.in.Write(b) }
func (s stdio) CloseWrite() error           { return s.in.Close() }
func (s stdio) Close() error                { s.in.Close(); return s.Conn.Close() }

// adapterOnStdio starts one of debugpy's adapters for each front end.
func adapterOnStdio(t *testing.T, python, path string) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) {
		cmd := exec.Command(python, "-Xfrozen_modules=off", "-m", "debugpy.adapter")
		cmd.Env, cmd.Dir = append(os.Environ(), "PATH="+path), t.TempDir()
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		near, far := net.Pipe()
		cmd.Stdout = far
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		ended := make(chan struct{})
		go func() { defer close(ended); _ = cmd.Wait(); far.Close() }()
		// The stock adapter stays as long as the program is connected to it.
		t.Cleanup(func() { _ = cmd.Process.Kill(); near.Close(); <-ended })
		return stdio{near, in}, nil
	}
}

// However a front end of a running program takes its leave, and whatever its configuration says, the program is attached to and runs on.
func TestRunningPythonOutlivesItsFrontEnds(t *testing.T) {
	python, path, dir := tools.Need(t, tools.Python), tools.NeedGdb(t), t.TempDir()
	app, pidFile := filepath.Join(dir, "app.py"), filepath.Join(dir, "pid")
	source := "import os, time\nopen('pid', 'w').write(str(os.getpid()))\nwhile True:\n    print('tick', flush=True)\n    time.sleep(0.02)\n"
	if err := os.WriteFile(app, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	out := run(t, dir, nil, python, app)
	ticked := func() int {
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(b, []byte("tick\n"))
	}
	eventually(t, "tick", func() bool { return ticked() > 0 })
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}

	r := start(t, Config{
		Protocol: "dap", OneClient: true, NeverTerminate: true, Dial: adapterOnStdio(t, python, path),
		AttachSet: map[string]any{"processId": pid}, AttachDrop: []string{"connect", "listen", "host", "port", "subProcessId", "program"},
	})
	wrong := object{"justMyCode": true, "processId": 1, "connect": object{"port": 1}, "program": "/bin/false"}
	for _, way := range []string{"disconnect", "terminate", "launch", "drop"} {
		f := r.front(t)
		if way == "launch" {
			f.request("initialize", object{"adapterID": "debugpy"})
			refused(t, f.request("launch", object{"program": app}), "runs already")
			f.configure(wrong) // it may still do the right thing
		} else {
			f.attach(wrong)
		}
		f.request("pause", object{"threadId": 1})
		f.event("stopped")
		switch way {
		case "disconnect":
			f.request("disconnect", object{"terminateDebuggee": true})
		case "terminate":
			refused(t, f.request("terminate", object{}), "ran before the session")
		}
		f.Close()
		r.awaitClients(t, 0)
		n := ticked()
		eventually(t, "further tick after "+way, func() bool { return ticked() > n+5 })
	}
}
