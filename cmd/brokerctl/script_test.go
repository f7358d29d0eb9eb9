package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/debugbroker/debugbroker/broker/api"
)

// TestMain makes brokerctl, and beside it a fake brokerd, programs that the tests run.
func TestMain(m *testing.M) {
	// Whoever started the tests may have set signals to be ignored (nohup, a background job), which brokerctl would inherit and keep to.
	// A caught signal is inherited as not ignored. The commands are this binary under other names: theirs stay as they are.
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if strings.HasSuffix(os.Args[0], ".test") && signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	testscript.Main(m, map[string]func(){"brokerctl": main, "brokerd": fakeBrokerd})
}

func terminated() <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	return c
}

// TestScripts runs testdata/script. What they have besides testscript's own commands:
//
//	daemon [SOCKET]         a fake daemon, in this process
//	exits N PROGRAM ARG…    run it, and it must end with status N
//	cold N PROGRAM ARG…     run it N times at once; all must succeed
//	requests PATTERN        the last open's request, as JSON
//	forwardrequests PATTERN the last forward's
//	alive yes|no            the brokerd that was started last
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			for k, v := range isolated(e.WorkDir) {
				e.Setenv(k, v)
			}
			state := filepath.Join(e.WorkDir, "s")
			e.Defer(func() { killStarted(t, state) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"daemon": cmdDaemon, "forwardrequests": cmdForwardRequests, "exits": cmdExits, "cold": cmdCold, "requests": cmdRequests, "alive": cmdAlive,
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, errors.New("unknown condition " + cond)
		},
	})
}

// isolated is an environment with nothing of ours in it.
func isolated(dir string) map[string]string {
	return map[string]string{
		"HOME": dir, "BROKER_STATE_DIR": filepath.Join(dir, "s"), "BROKER_SOCKET": "", "BROKER_CONFIG": "", "BROKER_SSH_CONFIG": "",
		"XDG_CONFIG_HOME": "", "XDG_STATE_HOME": "", "SSH_AUTH_SOCK": "", "KRB5CCNAME": "", "DISPLAY": "", "TERM": "xterm", "NO_COLOR": "",
		"GORACE": "atexit_sleep_ms=0", // else each run under the race detector takes a second longer
	}
}

func cmdDaemon(ts *testscript.TestScript, neg bool, args []string) {
	socket := filepath.Join(ts.Getenv("BROKER_STATE_DIR"), "broker.sock")
	if len(args) > 0 {
		socket = ts.MkAbs(args[0])
	}
	ts.Check(os.MkdirAll(filepath.Dir(socket), 0o700))
	f := newFake(api.DaemonInfo{API: api.Version, Version: "v9", PID: os.Getpid()})
	stop, err := f.listen(socket)
	ts.Check(err)
	ts.Defer(stop)
	fakes.put(ts, f)
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM ARG…")
	}
	status := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("exit status %d, not %s; stdout %q, stderr %q", status, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

func cmdCold(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	type result struct {
		out []byte
		err error
	}
	results := make(chan result)
	program, err := exec.LookPath(args[1])
	ts.Check(err)
	for range n {
		cmd := exec.Command(program, args[2:]...)
		for k, v := range isolated(ts.Getenv("WORK")) {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		go func() {
			out, err := cmd.CombinedOutput()
			results <- result{out, err}
		}()
	}
	for range n {
		if r := <-results; r.err != nil {
			ts.Logf("%v: %s", r.err, r.out)
			defer ts.Fatalf("one of them failed")
		}
	}
}

func cmdRequests(ts *testscript.TestScript, neg bool, args []string) {
	f := fakes.get(ts)
	f.mu.Lock()
	defer f.mu.Unlock()
	lastIs(ts, f.requests, args[0], neg)
}

func cmdForwardRequests(ts *testscript.TestScript, neg bool, args []string) {
	f := fakes.get(ts)
	f.mu.Lock()
	defer f.mu.Unlock()
	lastIs(ts, f.forwardRequests, args[0], neg)
}

// lastIs holds the last request against a pattern.
func lastIs[T any](ts *testscript.TestScript, requests []T, pattern string, neg bool) {
	if len(requests) == 0 {
		ts.Fatalf("nothing was asked for")
	}
	got := asJSON(requests[len(requests)-1])
	if regexp.MustCompile(pattern).MatchString(got) == neg {
		ts.Fatalf("the request is %s", got)
	}
}

func cmdAlive(ts *testscript.TestScript, neg bool, args []string) {
	pids := started(filepath.Join(ts.Getenv("BROKER_STATE_DIR")))
	if len(pids) == 0 {
		ts.Fatalf("none was started")
	}
	if got := alive(pids[len(pids)-1]); got == neg {
		ts.Fatalf("brokerd is alive: %v", got)
	}
}

// started is the pids of the fake brokerds that ran in the state directory.
func started(state string) (pids []int) {
	data, err := os.ReadFile(filepath.Join(state, "starts"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		if pid, err := strconv.Atoi(strings.Fields(line)[1]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killStarted ends what a script has left, whether it failed or not.
func killStarted(t testing.TB, state string) {
	for _, pid := range started(state) {
		cmdline, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if !strings.Contains(string(cmdline), state) {
			continue // gone, and its number maybe somebody else's
		}
		syscall.Kill(pid, syscall.SIGTERM)
		for end := time.Now().Add(5 * time.Second); alive(pid); time.Sleep(pollInterval) {
			if time.Now().After(end) {
				t.Errorf("the fake brokerd %d does not end", pid)
				break
			}
		}
	}
}
