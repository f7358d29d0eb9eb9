package adapters

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// shells are those that a host's /bin/sh may be.
var shells = []string{"/bin/sh", "dash", "bash"}

// need returns the path of a tool, or skips; where CI=true it fails instead.
func need(t testing.TB, tool, install string) string {
	t.Helper()
	file, err := exec.LookPath(tool)
	if err == nil {
		return file
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %s", tool, install)
	}
	t.Skipf("%s is missing: %s", tool, install)
	return ""
}

// systemPython is the interpreter that the distribution's debugpy is for.
const systemPython = "/usr/bin/python3"

func needDebugpy(t testing.TB) {
	t.Helper()
	if exec.Command(systemPython, "-c", "import debugpy").Run() != nil {
		need(t, "debugpy for "+systemPython, "apt install python3-debugpy")
	}
}

// probe answers a request's probes as a host would, by sh.
func probe(t testing.TB, sh string, r Request) Request {
	t.Helper()
	r.Facts = map[string]string{}
	for _, c := range NewDebugpy().Probe(r) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		cmd := exec.CommandContext(ctx, sh, "-c", c.Script)
		cmd.Env = []string{"HOME=" + r.Host.Home, "PATH=/usr/bin:/bin"}
		var diagnostics strings.Builder
		cmd.Stderr = &diagnostics
		out, err := cmd.Output()
		cancel()
		if err != nil || diagnostics.Len() > 0 {
			t.Fatalf("probe by %s: %v\n%s", sh, err, diagnostics.String())
		}
		r.Facts[c.Key] = string(out)
	}
	return r
}

// debuggee is a program started by a plan.
type debuggee struct {
	t    testing.TB
	plan Plan
	cmd  *exec.Cmd
	addr string

	mu      sync.Mutex
	out     []string
	changed chan struct{} // closed and renewed at each line
	ended   chan struct{}
}

// launch probes, plans, starts and awaits readiness.
func launch(t testing.TB, r Request) *debuggee {
	t.Helper()
	d := start(t, r)
	d.awaitReady()
	if d.plan.Started != nil {
		if _, err := d.plan.Started(t.Context(), d.dial); err != nil {
			t.Fatalf("started: %v; printed:\n%s", err, d.output())
		}
	}
	return d
}

func planFor(t testing.TB, r Request) Plan {
	t.Helper()
	needDebugpy(t)
	r.Mode = Launch
	if r.Host.Home == "" {
		r.Host.Home = t.TempDir()
	}
	if r.Interpreter == "" {
		r.Interpreter = systemPython
	}
	if r.Workspace == "" {
		r.Workspace = t.TempDir()
	}
	r = probe(t, "/bin/sh", r)
	p, err := NewDebugpy().Plan(r)
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	for _, f := range p.Files {
		if err := os.WriteFile(filepath.Join(r.Workspace, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func start(t testing.TB, r Request) *debuggee {
	t.Helper()
	d := &debuggee{t: t, plan: planFor(t, r), changed: make(chan struct{}), ended: make(chan struct{})}
	d.cmd = exec.Command(d.plan.Argv[0], d.plan.Argv[1:]...)
	d.cmd.Dir = d.plan.Cwd
	d.cmd.Env = append([]string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir(), "LANG=C.UTF-8"}, d.plan.Env...)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd.Stdout, d.cmd.Stderr = write, write
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	var readers sync.WaitGroup
	readers.Go(func() { d.read(read) })
	go func() {
		_ = d.cmd.Wait()
		close(d.ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
		<-d.ended
		_ = read.SetReadDeadline(time.Now().Add(2 * time.Second)) // a child may still hold it
		readers.Wait()
		_ = read.Close()
	})
	return d
}

// dial opens a connection to the server, as the broker would through the host.
func (d *debuggee) dial(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", d.addr)
}

func (d *debuggee) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d.mu.Lock()
		d.out = append(d.out, lines.Text())
		close(d.changed)
		d.changed = make(chan struct{})
		d.mu.Unlock()
	}
}

// line awaits a line of output that wanted takes.
func (d *debuggee) line(what string, wanted func(string) bool) string {
	d.t.Helper()
	late := time.After(dapPatience)
	seen := 0
	for {
		d.mu.Lock()
		changed := d.changed
		for ; seen < len(d.out); seen++ {
			if wanted(d.out[seen]) {
				defer d.mu.Unlock()
				return d.out[seen]
			}
		}
		d.mu.Unlock()
		select {
		case <-changed:
		case <-late:
			d.t.Fatalf("no %s; printed:\n%s", what, d.output())
		}
	}
}

func (d *debuggee) output() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.out, "\n")
}

func (d *debuggee) awaitReady() {
	d.t.Helper()
	if line := d.plan.Ready.Line; line != nil {
		said := d.line("ready line", line.MatchString)
		d.addr = line.FindStringSubmatch(said)[line.SubexpIndex("addr")]
		return
	}
	for deadline := time.Now().Add(dapPatience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		data, err := os.ReadFile(d.plan.Ready.EndpointFile)
		var endpoints struct {
			Client struct {
				Host string
				Port json.Number
			}
		}
		if err == nil && json.Unmarshal(data, &endpoints) == nil {
			d.addr = endpoints.Client.Host + ":" + endpoints.Client.Port.String()
			return
		}
	}
	d.t.Fatalf("no endpoint file; printed:\n%s", d.output())
}

// exit awaits the program's end.
func (d *debuggee) exit() int {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(dapPatience):
		d.t.Fatalf("the program did not end; printed:\n%s", d.output())
	}
	return d.cmd.ProcessState.ExitCode()
}

// script writes a program and returns its path.
func script(t testing.TB, source string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "app.py")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
