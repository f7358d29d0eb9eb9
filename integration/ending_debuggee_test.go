package integration_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// ticker is a program that ticks, in one language, and how a front end of that language is used.
type ticker struct {
	lang        string
	interpreter string
	program     []string
	// attach attaches a front end that sets no breakpoint and lets the program run; pause one that stops it at a breakpoint.
	attach func(t *testing.T, addr string)
	pause  func(t *testing.T, addr string)
}

// open is the command line that opens a ticker on a host; flags stand before the program, args behind it.
func (k ticker) open(host string, flags []string, args ...string) []string {
	line := append([]string{host + ":" + k.lang, "--interpreter", k.interpreter}, flags...)
	return append(append(append(line, "--"), k.program...), args...)
}

func tickers(t *testing.T) []ticker {
	t.Helper()
	return []ticker{pythonTicker(t), goTicker(t), nodeTicker(t), javaTicker(t)}
}

// runWithDAP attaches a front end that sets no breakpoints.
func runWithDAP(args map[string]any) func(t *testing.T, addr string) {
	return func(t *testing.T, addr string) {
		d := expect.DialDAP(t, addr)
		d.Initialize()
		d.Attach(args)
		d.ConfigurationDone()
	}
}

// startedJdb attaches a jdb to a JVM that waits at its start.
func startedJdb(t *testing.T, jdk tools.JDK, addr, sources string) expect.Console {
	t.Helper()
	c := expect.StartJdb(t, jdk.Jdb, addr, sources)
	c.AwaitSuspended()
	return c
}

func pythonTicker(t *testing.T) ticker {
	t.Helper()
	path := programs.Path(t, "python/ticker.py")
	return ticker{
		"python", tools.Need(t, tools.Python), []string{path},
		runWithDAP(pythonAttach()),
		func(t *testing.T, addr string) {
			d := expect.DialDAP(t, addr)
			d.Begin(pythonAttach(), path, programs.BreakLine(t, path))
			d.WaitStopped("breakpoint")
		},
	}
}

func goTicker(t *testing.T) ticker {
	t.Helper()
	path := programs.Path(t, "go/ticker/main.go")
	return ticker{
		"go", tools.NeedDlv(t), []string{programs.BuildGo(t, "ticker")},
		runWithDAP(delveAttach()),
		func(t *testing.T, addr string) {
			d := expect.DialDAP(t, addr)
			d.Begin(delveAttach(), path, programs.BreakLine(t, path))
			d.WaitStopped("breakpoint")
		},
	}
}

func nodeTicker(t *testing.T) ticker {
	t.Helper()
	path := programs.Path(t, "node/ticker.js")
	return ticker{
		"node", tools.Need(t, tools.Node), []string{path},
		func(t *testing.T, addr string) {
			c := expect.DialCDP(t, addr)
			c.Start()
			c.WaitPaused()
			c.Resume()
		},
		func(t *testing.T, addr string) {
			c := expect.DialCDP(t, addr)
			c.Start()
			c.WaitPaused()
			c.SetBreakpoint("file://"+path, programs.BreakLine(t, path))
			c.Resume()
			c.WaitPaused()
		},
	}
}

func javaTicker(t *testing.T) ticker {
	t.Helper()
	jdk := tools.Need(t, tools.Java)
	path := programs.Path(t, "java/Ticker.java")
	return ticker{
		"java", jdk.Java, []string{"-cp", programs.BuildJava(t, jdk), "Ticker"},
		func(t *testing.T, addr string) {
			c := startedJdb(t, jdk, addr, filepath.Dir(path))
			c.Ask("run", `> `)
		},
		func(t *testing.T, addr string) {
			c := startedJdb(t, jdk, addr, filepath.Dir(path))
			c.Ask("stop at Ticker:"+strconv.Itoa(programs.BreakLine(t, path)), `breakpoint`)
			c.Ask("run", `Breakpoint hit`)
		},
	}
}

// gone demands that a session's local port and its program are gone. The program may be a moment behind: a kernel that kills takes its time.
func gone(t *testing.T, v api.Session) {
	t.Helper()
	if c, err := net.DialTimeout("tcp", v.Local, 5*time.Second); err == nil {
		c.Close()
		t.Errorf("the local port %s is still there", v.Local)
	}
	if v.PID != nil && running(*v.PID) {
		t.Errorf("the program (pid %d) still runs", *v.PID)
	}
}

// running tells whether a process is there and no zombie.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// PID (COMM) STATE: COMM may hold anything, so the last parenthesis counts (proc(5)).
	state := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))[0]
	return state != "Z" && state != "X"
}

// exitText tells an exit in words.
func exitText(e *api.Exit) string {
	switch {
	case e == nil:
		return "none"
	case e.Code != nil:
		return fmt.Sprint(*e.Code)
	}
	return e.Signal
}
