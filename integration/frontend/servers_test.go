package frontend_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/integration/frontend/expect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a debug server started without a broker: the front ends are proved against the real thing first.
type server struct {
	t     testing.TB
	lines chan string // what it prints
	stop  func()
}

// start starts a debug server. It is ended with SIGTERM when the test ends (SIGKILL would kill Delve's target by its breakpoints).
func start(t *testing.T, env []string, argv ...string) *server {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, lines: make(chan string, 1000)}
	var running sync.WaitGroup
	running.Go(func() {
		defer r.Close()
		defer close(s.lines)
		for in := bufio.NewScanner(r); in.Scan(); {
			select {
			case s.lines <- in.Text():
			default: // nobody asks any more
			}
		}
		io.Copy(io.Discard, r)
	})
	ended := make(chan struct{})
	running.Go(func() { cmd.Wait(); close(ended) })
	s.stop = sync.OnceFunc(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Errorf("%s did not follow SIGTERM", argv[0])
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		running.Wait()
	})
	t.Cleanup(s.stop)
	return s
}

// wait returns the first group of the first line that matches.
func (s *server) wait(re string) string {
	s.t.Helper()
	match := regexp.MustCompile(re)
	limit := time.After(expect.Limit)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				s.t.Fatalf("the server ended before it printed %s", re)
			}
			if m := match.FindStringSubmatch(line); m != nil {
				return m[len(m)-1]
			}
			s.t.Log(line)
		case <-limit:
			s.t.Fatalf("the server did not print %s", re)
		}
	}
}

// startDebugpy starts a script that waits for a front end, and returns its address.
func startDebugpy(t *testing.T, python string, program ...string) (*server, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "endpoints")
	// debugpy prints nothing; a fifo instead of its endpoint file is as good as an announcement.
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	argv := []string{python, "-Xfrozen_modules=off", "-m", "debugpy", "--listen", "127.0.0.1:0", "--wait-for-client"}
	s := start(t, []string{"DEBUGPY_ADAPTER_ENDPOINTS=" + file}, append(argv, program...)...)
	if err := f.SetReadDeadline(time.Now().Add(expect.Limit)); err != nil {
		t.Fatal(err)
	}
	var endpoints struct {
		Client struct {
			Host string `json:"host"`
			Port int    `json:"port"`
		} `json:"client"`
	}
	if err := json.NewDecoder(f).Decode(&endpoints); err != nil {
		t.Fatalf("read debugpy's endpoints: %v", err)
	}
	return s, endpoints.Client.Host + ":" + strconv.Itoa(endpoints.Client.Port)
}
