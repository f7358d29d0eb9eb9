package proxy

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/tools"
)

// run starts a program in dir and ends it with the test. out gets what it prints; the file is read while it is written.
func run(t testing.TB, dir string, env []string, argv ...string) (out string) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "out")
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a program's children must not outlive it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(out)
			t.Logf("%s printed: %.300s", argv[0], b)
		}
	})
	return out
}

// eventually polls what has no event to wait for: a file, an output.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

const parentAndChildren = `
import os, subprocess, sys, time
if len(sys.argv) == 1:
    children = [subprocess.Popen([sys.executable, __file__, "child"]) for _ in range(2)]
n = 0
while os.getppid() != 1 and n < 1200:
    n += 1
    time.sleep(0.05)
`

// debugpy runs a program with two subprocesses under debugpy and returns a dialler to its adapter.
func debugpy(t testing.TB) func(context.Context) (net.Conn, error) {
	t.Helper()
	python := tools.Need(t, tools.Python)
	dir := t.TempDir()
	app, endpoints := filepath.Join(dir, "app.py"), filepath.Join(dir, "endpoints")
	if err := os.WriteFile(app, []byte(parentAndChildren), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, []string{"DEBUGPY_ADAPTER_ENDPOINTS=" + endpoints},
		python, "-Xfrozen_modules=off", "-W", "ignore", "-m", "debugpy", "--listen", "127.0.0.1:0", "--wait-for-client", app)
	var at struct {
		Client struct {
			Host string
			Port int
		}
	}
	eventually(t, "announcement of debugpy", func() bool {
		b, err := os.ReadFile(endpoints)
		return err == nil && json.Unmarshal(b, &at) == nil
	})
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", (&net.TCPAddr{IP: net.ParseIP(at.Client.Host), Port: at.Client.Port}).String())
		return c, err
	}
}

// attach does what a front end does until the program runs under it.
func (f *front) attach(arguments object) {
	f.t.Helper()
	if r := f.request("initialize", object{"adapterID": "debugpy", "clientID": "test"}); r["success"] != true {
		f.t.Fatalf("initialize: %v", r)
	}
	f.configure(arguments)
}

// configure is attach after initialize.
func (f *front) configure(arguments object) {
	f.t.Helper()
	seq := f.send("attach", arguments)
	f.next("initialized", func(o object) bool {
		if o["type"] == "response" && o["success"] != true {
			f.t.Fatalf("attach: %v", o)
		}
		return o["event"] == "initialized"
	})
	f.request("configurationDone", object{})
	if r := f.response(seq); r["success"] != true {
		f.t.Fatalf("attach: %v", r)
	}
}

var plain = object{"justMyCode": true}

func TestDebugpyFrontEndsComeAndGo(t *testing.T) {
	r := start(t, Config{Protocol: "dap", OneClient: true, Dial: debugpy(t)})

	// Port scans and browsers first: debugpy would be wedged by either.
	r.connect(t).Close()
	h := r.connect(t)
	_, _ = h.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	ended(t, h)

	for i := range 6 {
		f := r.front(t)
		f.attach(plain)
		threads := f.request("threads", nil)
		if threads["success"] != true {
			t.Fatalf("round %d: %v", i, threads)
		}
		switch i % 3 {
		case 0: // as a front end that is killed while the program is stopped
			f.request("pause", object{"threadId": 1})
			f.event("stopped")
		case 1: // as one that takes its leave
			f.request("disconnect", object{})
		case 2: // as one that does not wait for the answer
			f.send("disconnect", object{})
		}
		f.Close()
	}
	r.awaitClients(t, 0)
	r.awaitEvent(t, "detached: "+endFront)
}

func TestDebugpySecondFrontEndIsRefused(t *testing.T) {
	r := start(t, Config{Protocol: "dap", OneClient: true, Dial: debugpy(t)})
	f := r.front(t)
	f.request("initialize", object{"adapterID": "debugpy"}) // has the place before it attaches

	second := r.front(t)
	refused(t, second.request("initialize", object{"adapterID": "debugpy"}), "another front end is attached")
	ended(t, second)
	r.awaitEvent(t, "refused: another front end")

	f.configure(plain)
	first, other := f.event("debugpyAttach"), f.event("debugpyAttach")

	// With subprocesses announced, initialize has to be let through; attach tells.
	third := r.front(t)
	if got := third.request("initialize", object{"adapterID": "debugpy"}); got["success"] != true {
		t.Fatalf("initialize of what may be a subprocess's connection: %v", got)
	}
	refused(t, third.request("attach", plain), "another front end is attached")
	ended(t, third)

	children := []*front{}
	for _, ev := range []object{first, other} {
		body := ev["body"].(object)
		c := r.front(t)
		c.attach(body)
		children = append(children, c)
	}
	again := r.front(t)
	refused(t, again.request("initialize", object{"adapterID": "debugpy"}), "another front end is attached")

	// The main connection leaves, its subprocesses' stay and are not disturbed, and a new one may come.
	f.Close()
	next := r.front(t)
	next.attach(plain)
	for _, c := range append(children, next) {
		if got := c.request("threads", nil); got["success"] != true {
			t.Fatalf("threads: %v", got)
		}
	}
	// A subprocess's connection may leave, abruptly, and another takes its place.
	children[0].Close()
	c := r.front(t)
	c.attach(first["body"].(object))
	if got := c.request("threads", nil); got["success"] != true {
		t.Fatalf("threads: %v", got)
	}
}

func TestDebugpySubprocessesReachOurPort(t *testing.T) {
	dial := debugpy(t)
	for _, arguments := range []object{
		{"justMyCode": true}, // the adapter then names its own port
		{"justMyCode": true, "connect": object{"host": "far.example", "port": 1, "zz": []any{false, 0}}}, // or what the front end said
		{"justMyCode": true, "host": "far.example", "port": 1},
	} {
		r := start(t, Config{Protocol: "dap", OneClient: true, Dial: dial})
		f := r.front(t)
		f.attach(arguments)
		body := f.event("debugpyAttach")["body"].(object)
		connect := body["connect"].(object)
		host, port, _ := net.SplitHostPort(r.addr)
		if got := connect["host"]; got != host {
			t.Errorf("%v: host is %v, want %v", arguments, got, host)
		}
		if got, _ := json.Marshal(connect["port"]); string(got) != port {
			t.Errorf("%v: port is %s, want %s", arguments, got, port)
		}
		if was, ok := arguments["connect"].(object); ok {
			if a, b := mustJSON(was["zz"]), mustJSON(connect["zz"]); a != b {
				t.Errorf("other members: got %s, want %s", b, a)
			}
		}
		c := r.front(t)
		c.attach(body)
		f.request("disconnect", object{})
		c.request("disconnect", object{})
		f.Close()
		c.Close()
		r.awaitClients(t, 0)
	}
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(b))
}
