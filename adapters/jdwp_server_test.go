package adapters

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// javaClasses compiles the program of testdata.
func javaClasses(t *testing.T) string {
	t.Helper()
	javac := needTool(t, "javac")
	dir := t.TempDir()
	if out, err := exec.Command(javac, "-g", "-d", dir, "testdata/java/Ticker.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	return dir
}

func javaPlan(t *testing.T, wait bool, program ...string) Plan {
	t.Helper()
	needTool(t, "java")
	req := probed(t, NewJDWP(), Request{
		Mode: Launch, Program: program, Wait: wait, Host: here(t), Workspace: shortDir(t), Random: uint32(time.Now().UnixNano()),
	}, "/bin/sh")
	plan, err := NewJDWP().Plan(req)
	must(t, "plan", err)
	return plan
}

// jdb is the JDK's front end, spoken to through pipes.
type jdb struct {
	t   *testing.T
	in  io.WriteCloser
	out chan string
	cmd *exec.Cmd
}

func attachJDB(t *testing.T, s *server) *jdb {
	t.Helper()
	j := &jdb{t: t, out: make(chan string, 1000), cmd: exec.Command(needTool(t, "jdb"), "-attach", s.address)}
	in, err := j.cmd.StdinPipe()
	must(t, "stdin", err)
	out, err := j.cmd.StdoutPipe()
	must(t, "stdout", err)
	j.in = in
	must(t, "jdb", j.cmd.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		scan := bufio.NewScanner(out)
		scan.Split(words)
		for scan.Scan() {
			j.out <- scan.Text()
		}
		close(j.out)
	}()
	t.Cleanup(func() { _ = j.cmd.Process.Kill(); _ = j.cmd.Wait(); <-done })
	return j
}

// words splits at prompts too, which have no line's end behind them.
func words(data []byte, atEOF bool) (int, []byte, error) {
	for i, b := range data {
		if b == '\n' || b == ' ' && i > 0 && (data[i-1] == '>' || data[i-1] == ']') {
			return i + 1, data[:i], nil
		}
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func (j *jdb) say(line string) {
	j.t.Helper()
	if _, err := io.WriteString(j.in, line+"\n"); err != nil {
		j.t.Fatalf("jdb: %v", err)
	}
}

func (j *jdb) await(want string) string {
	j.t.Helper()
	re := regexp.MustCompile(want)
	deadline := time.After(limit)
	var all []string
	for {
		select {
		case l, ok := <-j.out:
			if !ok {
				j.t.Fatalf("jdb ended before %q: %q", want, all)
			}
			all = append(all, l)
			if re.MatchString(l) {
				return l
			}
		case <-deadline:
			j.t.Fatalf("jdb does not say %q: %q", want, all)
		}
	}
}

func (j *jdb) leave() {
	j.t.Helper()
	j.say("quit")
	for range j.out { //nolint:revive // until its end
	}
}

func TestJDWPFrontEndLeavesAndComesBack(t *testing.T) {
	s := carryOut(t, javaPlan(t, true, "-cp", javaClasses(t), "Ticker", "100000", "0"))
	for round := range 2 {
		if round > 0 {
			// The agent listens again some milliseconds after its client has gone, and says so.
			if _, ok := s.await(func(string) bool { return s.count(javaReady) > round }); !ok {
				t.Fatal("the agent does not listen again")
			}
		}
		j := attachJDB(t, s)
		j.say("stop in Ticker.tick")
		j.await(`(Deferring|Set) breakpoint|Set deferred`)
		if round == 0 {
			j.say("resume")
		}
		j.await(`Breakpoint hit`)
		j.say("print i")
		j.await(`i = \d+`)
		j.say("next")
		j.await(`Step completed`)
		if round == 0 {
			_ = j.cmd.Process.Kill()
		} else {
			j.leave()
		}
		s.goesOn(ticks, 5)
	}
}

// What AfterLast need not do: a handshake and nothing more lets a suspended program run when its client goes.
func TestJDWPFrontEndNeverLetsItRun(t *testing.T) {
	s := carryOut(t, javaPlan(t, true, "-cp", javaClasses(t), "Ticker", "2", "3"))
	conn, err := s.dial(t.Context())
	must(t, "dial", err)
	_, err = conn.Write([]byte("JDWP-Handshake"))
	must(t, "write", err)
	_ = conn.SetDeadline(time.Now().Add(limit))
	_, err = io.ReadFull(conn, make([]byte, 14))
	must(t, "read", err)
	_ = conn.Close()
	<-s.ended
	if got := s.cmd.ProcessState.ExitCode(); got != 3 || s.count(ticks) != 2 {
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
			s := launchServer(t, plan)
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
	needTool(t, "java")
	req := probed(t, NewJDWP(), Request{Mode: Launch, Program: []string{"App"}, Host: here(t), Random: uint32(port - firstPort + portRange)}, "/bin/sh")
	plan, err := NewJDWP().Plan(req)
	must(t, "plan", err)
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
