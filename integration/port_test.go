package integration_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// byHand is a debug server that somebody started on the host before us.
type byHand struct {
	t    *testing.T
	cmd  *exec.Cmd
	reap func() // waits for its end; may be called again, and by several
	mu   sync.Mutex
	last []string
	more chan struct{}
}

// startByHand starts a server and waits until its output, or a listening socket on port, tells that it is ready.
func startByHand(t *testing.T, port int, ready string, argv ...string) *byHand {
	t.Helper()
	return startCommand(t, ready, exec.Command(argv[0], argv[1:]...))
}

// startCommand is startByHand for what needs more than its words.
func startCommand(t *testing.T, ready string, cmd *exec.Cmd) *byHand {
	t.Helper()
	h := &byHand{t: t, cmd: cmd, more: make(chan struct{}, 1)}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setsid = true
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	h.cmd.Stdout, h.cmd.Stderr = w, w
	h.reap = sync.OnceFunc(func() { h.cmd.Wait() })
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		for in := bufio.NewScanner(r); in.Scan(); {
			h.mu.Lock()
			h.last = append(h.last, in.Text())
			h.mu.Unlock()
			select {
			case h.more <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() {
		syscall.Kill(-h.cmd.Process.Pid, syscall.SIGTERM) // never SIGKILL: Delve
		h.reap()
		r.Close()
		<-read
	})
	h.await(0, ready)
	return h
}

// await waits for a line with the word after the first n lines, and returns how many lines there are then.
func (h *byHand) await(n int, word string) int {
	h.t.Helper()
	limit := time.After(expect.Limit)
	for {
		h.mu.Lock()
		lines := append([]string(nil), h.last...)
		h.mu.Unlock()
		for i := n; i < len(lines); i++ {
			if strings.Contains(lines[i], word) {
				return len(lines)
			}
		}
		select {
		case <-h.more:
		case <-limit:
			h.t.Fatalf("no %q in the last lines of %q", word, lines)
		}
	}
}

// runsOn demands that the program prints on.
func (h *byHand) runsOn() {
	h.t.Helper()
	h.mu.Lock()
	n := len(h.last)
	h.mu.Unlock()
	h.await(n+3, "tick")
}

// visited has a front end stop at a breakpoint and leave, and demands that the program runs on.
func (h *byHand) visited(s api.Session, attach map[string]any, path string, line int) {
	h.t.Helper()
	d := expect.DialDAP(h.t, s.Local)
	d.Begin(attach, path, line)
	d.WaitStopped("breakpoint")
	d.Disconnect(false)
	h.runsOn()
}

func openPort(t *testing.T, w world, lang string, port int) api.Session {
	t.Helper()
	s := w.Open("box:"+lang, "--port", strconv.Itoa(port))
	if s.Mode != "port" || s.Remote != "127.0.0.1:"+strconv.Itoa(port) {
		t.Errorf("session: %+v", s)
	}
	return s
}

func TestPortPython(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	w := newWorld(t, sshd.Options{})
	path, port := programs.Path(t, "python/ticker.py"), freeport.On127(t)
	line := programs.BreakLine(t, path)
	h := startByHand(t, port, "tick", python, "-Xfrozen_modules=off", "-m", "debugpy", "--listen", "127.0.0.1:"+strconv.Itoa(port), path)
	s := openPort(t, w, "python", port)
	for range 2 {
		h.visited(s, pythonAttach(), path, line)
	}
	w.Close(s.ID)
	h.runsOn()
}

func TestPortGo(t *testing.T) {
	t.Parallel()
	dlv := tools.NeedDlv(t)
	w := newWorld(t, sshd.Options{})
	path, port := programs.Path(t, "go/ticker/main.go"), freeport.On127(t)
	line := programs.BreakLine(t, path)
	h := startByHand(t, port, "tick", dlv, "exec", "--headless", "--accept-multiclient", "--continue", "--listen=127.0.0.1:"+strconv.Itoa(port), programs.BuildGo(t, "ticker"))
	s := openPort(t, w, "go", port)
	for range 2 {
		h.visited(s, delveAttach(), path, line)
	}
	// close while a front end stands at a breakpoint: the program is not ours, and runs on.
	d := expect.DialDAP(t, s.Local)
	d.Begin(delveAttach(), path, line)
	d.WaitStopped("breakpoint")
	w.Close(s.ID)
	h.runsOn()
}

func TestPortNode(t *testing.T) {
	t.Parallel()
	node := tools.Need(t, tools.Node)
	w := newWorld(t, sshd.Options{})
	path, port := programs.Path(t, "node/ticker.js"), freeport.On127(t)
	line := programs.BreakLine(t, path)
	h := startByHand(t, port, "tick", node, "--inspect=127.0.0.1:"+strconv.Itoa(port), path)
	s := openPort(t, w, "node", port)
	for range 2 {
		c := expect.DialCDP(t, s.Local)
		c.Start()
		c.SetBreakpoint("file://"+path, line)
		c.WaitPaused()
		c.Abort()
		h.runsOn()
	}
	w.Close(s.ID)
	h.runsOn()
}

func TestPortJava(t *testing.T) {
	t.Parallel()
	jdk := tools.Need(t, tools.Java)
	w := newWorld(t, sshd.Options{})
	path, port := programs.Path(t, "java/Ticker.java"), freeport.On127(t)
	line := programs.BreakLine(t, path)
	h := startByHand(t, port, "tick", jdk.Java, "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=127.0.0.1:"+strconv.Itoa(port),
		"-cp", programs.BuildJava(t, jdk), "Ticker")
	s := openPort(t, w, "java", port)
	for range 2 {
		c := expect.StartJdb(t, jdk.Jdb, s.Local, filepath.Dir(path))
		c.Ask("stop at Ticker:"+strconv.Itoa(line), `(?s)Breakpoint hit: .*Ticker\.tick\(\), line`)
		c.Kill()
		h.runsOn()
	}
	w.Close(s.ID)
	h.runsOn()
}

func TestPortNobodyListens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshd.Options{})
	for _, lang := range []string{"python", "go", "node", "java"} {
		if e := w.Fails(1, "open", "box:"+lang, "--port", strconv.Itoa(freeport.On127(t))); e.Code != api.CodeNotFound || e.Hint == "" {
			t.Errorf("%s: %+v", lang, e)
		}
	}
}
