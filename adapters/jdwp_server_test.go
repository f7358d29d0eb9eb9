package adapters

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// javaClasses compiles the program of testdata.
func javaClasses(t *testing.T) string {
	t.Helper()
	javac := tools.Need(t, tools.Java).Javac
	dir := t.TempDir()
	if out, err := exec.Command(javac, "-g", "-d", dir, "testdata/java/Ticker.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	return dir
}

func javaPlan(t *testing.T, wait bool, program ...string) Plan {
	t.Helper()
	return planned(t, NewJDWP(), Request{
		Program: program, Wait: wait, Interpreter: tools.Need(t, tools.Java).Java, Random: uint32(time.Now().UnixNano()),
	})
}

func TestJDWPFrontEndLeavesAndComesBack(t *testing.T) {
	s := launch(t, javaPlan(t, true, "-cp", javaClasses(t), "Ticker", "100000", "0"))
	for round := range 2 {
		if round > 0 {
			// The agent listens again some milliseconds after its client has gone, and says so.
			s.line("announcement once more", func(string) bool { return s.count(javaReady) > round })
		}
		jdb := expect.StartJdb(t, tools.Need(t, tools.Java).Jdb, s.address, "testdata/java")
		if round == 0 { // jdb forgets its threads if it is asked before it has taken in the start
			jdb.AwaitSuspended()
		}
		jdb.Ask("stop in Ticker.tick", `(Deferring|Set) breakpoint|Set deferred`)
		if round == 0 {
			must(t, "resume", jdb.Send("resume"))
		}
		jdb.Expect(`(?s)Breakpoint hit.*main\[1\] `) // before its prompt it knows no frame
		jdb.Ask("print i", `i = \d+`)
		jdb.Ask("next", `(?s)Step completed.*main\[1\] `)
		if round == 0 {
			jdb.Kill()
		} else {
			jdb.Quit("quit")
		}
		s.goesOn(ticks, 5)
	}
}

// What AfterLast need not do: a handshake and nothing more lets a suspended program run when its client goes.
func TestJDWPFrontEndNeverLetsItRun(t *testing.T) {
	s := launch(t, javaPlan(t, true, "-cp", javaClasses(t), "Ticker", "2", "3"))
	conn, err := s.dial(t.Context())
	must(t, "dial", err)
	_, err = conn.Write([]byte("JDWP-Handshake"))
	must(t, "write", err)
	_ = conn.SetDeadline(time.Now().Add(limit))
	_, err = io.ReadFull(conn, make([]byte, 14))
	must(t, "read", err)
	_ = conn.Close()
	if got := s.exit(); got != 3 || s.count(ticks) != 2 {
		t.Errorf("exit %d; output:\n%s", got, s.output())
	}
}

func TestJDWPFailures(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, "listen", err)
	defer taken.Close()
	classes := javaClasses(t)
	for name, c := range map[string]struct {
		args  []string
		taken bool
		want  Code
		retry bool
	}{
		"port":  {[]string{"-cp", classes, "Ticker", "1", "0"}, true, Internal, true},
		"class": {[]string{"-cp", classes, "Nope"}, false, NotFound, false},
	} {
		t.Run(name, func(t *testing.T) {
			plan := javaPlan(t, false, c.args...)
			if c.taken {
				plan.Argv[1] = strings.Replace(plan.Argv[1], plan.Address, taken.Addr().String(), 1)
			}
			s := start(t, plan)
			<-s.ended
			if f, ok := failed(plan, s.output()); !ok || f.Code != c.want || f.Retry != c.retry {
				t.Errorf("%+v; output:\n%s", f, s.output())
			}
		})
	}
	req := probed(t, NewJDWP(), Request{Mode: Launch, Program: []string{"-jar", "/nonexistent/x.jar"}, Host: here(t)}, "/bin/sh")
	var refused *Error
	if _, err := NewJDWP().Plan(req); !errors.As(err, &refused) || refused.Code != NotFound {
		t.Errorf("a missing jar: %v", err)
	}
}

func TestFreePort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, "listen", err)
	defer taken.Close()
	_, text, err := net.SplitHostPort(taken.Addr().String())
	must(t, "split", err)
	port, err := strconv.Atoi(text)
	must(t, "number", err)
	plan := planned(t, NewJDWP(), Request{Program: []string{"App"}, Random: uint32(port - firstPort + portRange), Interpreter: tools.Need(t, tools.Java).Java})
	if port >= firstPort && port < firstPort+portRange && plan.Address == taken.Addr().String() {
		t.Errorf("%s is taken", plan.Address)
	}
	if got := freePort(7, ""); got != 20007 {
		t.Errorf("port %d", got)
	}
	if got := freePort(portRange-1, "EA5F"); got != firstPort {
		t.Errorf("after the last: %d", got)
	}
	if filepath.Base(plan.Argv[0]) != "java" {
		t.Errorf("argv %q", plan.Argv)
	}
}
