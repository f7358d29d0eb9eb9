package integration_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/executable"
	"github.com/debugbroker/debugbroker/integration/sandbox"
)

// newLoneStation sets up a broker that knows no hosts.
func newLoneStation(t *testing.T, config string) station {
	t.Helper()
	return station{Broker: brokertest.New(t, brokertest.Options{Config: config})}
}

// TestConfigWithMistakes: all of them are told, with their lines, and no daemon is left.
func TestConfigWithMistakes(t *testing.T) {
	t.Parallel()
	s := newLoneStation(t, `log_level = "loud"
colour = "red"

[session]
ttl = "forever"
open_timeout = 3

[pyhton]
stock = true

[python]
stock = "yes"
`)
	s.clean(t)
	name := s.ConfigFile()
	words := []string{name}
	for line, word := range map[int]string{1: "log_level", 2: "colour", 5: "ttl", 6: "open_timeout", 8: "pyhton", 12: "stock"} {
		words = append(words, ":"+strconv.Itoa(line)+":", word)
	}
	s.complains(t, complaint{2, api.CodeConfig, words}, "list")
	if err := os.WriteFile(name, []byte("[session\nttl = 1h"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.complains(t, complaint{2, api.CodeConfig, []string{name + ":1:"}}, "list")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.OK("list")
}

// TestTwentyColdCommands start one daemon and all succeed.
func TestTwentyColdCommands(t *testing.T) {
	t.Parallel()
	s := newLoneStation(t, "")
	var running sync.WaitGroup
	results := make([]brokertest.Result, 20)
	for i := range results {
		running.Go(func() { results[i] = s.runWith(t, nil, "list", "--json") })
	}
	running.Wait()
	for i, r := range results {
		if r.Code != 0 || strings.TrimSpace(r.Stdout) != "[]" || r.Stderr != "" {
			t.Errorf("list %d: %+v", i, r)
		}
	}
	all, err := sandbox.Marked(s.Mark())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].PID != s.PID() {
		t.Errorf("one daemon is to run, there are: %v", all)
	}
}

// TestSecondDaemon is told who is there; the first is not disturbed.
func TestSecondDaemon(t *testing.T) {
	t.Parallel()
	s := newLoneStation(t, "")
	s.OK("list")
	pid := s.PID()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := finish(t, s.Daemon(ctx, "--foreground"))
	if r.Code != 1 || r.Stdout != "" {
		t.Errorf("exit code %d, stdout %q", r.Code, r.Stdout)
	}
	for _, word := range []string{"error: another brokerd", strconv.Itoa(pid), s.StateDir(), "hint: ", "brokerctl stop"} {
		if !strings.Contains(r.Stderr, word) {
			t.Errorf("does not say %q:\n%s", word, r.Stderr)
		}
	}
	s.OK("list")
	if s.PID() != pid {
		t.Error("the first daemon has gone")
	}
}

// TestStateDirsThatWillNotDo are refused before a daemon starts, by name.
func TestStateDirsThatWillNotDo(t *testing.T) {
	t.Parallel()
	s := newLoneStation(t, "")
	s.clean(t)
	mkdir := func(name string, mode os.FileMode) string {
		t.Helper()
		dir := filepath.Join(s.Dir(), name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "something"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	notDir := filepath.Join(s.Dir(), "file")
	if err := os.WriteFile(notDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, dir string
		want      complaint
	}{
		{"too long for a socket", filepath.Join(s.Dir(), strings.Repeat("x", 200)), complaint{2, api.CodeConfig, []string{"too long", "BROKER_SOCKET"}}},
		{"others may read", mkdir("readable", 0o755), complaint{1, api.CodeDaemon, []string{"readable", "chmod 700"}}},
		{"others may write", mkdir("writable", 0o777), complaint{1, api.CodeDaemon, []string{"writable", "chmod 700"}}},
		{"a file", notDir, complaint{1, api.CodeDaemon, []string{notDir, "BROKER_STATE_DIR"}}},
		{"cannot be made", "/proc/nonexistent/state", complaint{1, api.CodeDaemon, []string{"/proc/nonexistent", "BROKER_STATE_DIR"}}},
	}
	if os.Getuid() == 0 {
		theirs := mkdir("theirs", 0o700)
		if err := os.Chown(theirs, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		tests = append(tests, struct {
			name, dir string
			want      complaint
		}{"another owner", theirs, complaint{1, api.CodeDaemon, []string{"theirs", "12345", "BROKER_STATE_DIR"}}})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := s.runWith(t, []string{"BROKER_STATE_DIR=" + tt.dir}, "list", "--json")
			if r.Code != tt.want.exit {
				t.Errorf("exit code %d, want %d", r.Code, tt.want.exit)
			}
			tt.want.check(t, errorOf(t, r))
		})
	}
	// An empty one is no risk: it is made private.
	empty := filepath.Join(s.Dir(), "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	env := []string{"BROKER_STATE_DIR=" + empty}
	if r := s.runWith(t, env, "list"); r.Code != 0 {
		t.Errorf("an empty state directory: %+v", r)
	}
	if r := s.runWith(t, env, "stop"); r.Code != 0 {
		t.Errorf("stop: %+v", r)
	}
}

// TestDaemonsThatDoNotFit: of another version, or with another configuration.
func TestDaemonsThatDoNotFit(t *testing.T) {
	t.Parallel()
	s := newLoneStation(t, "")
	t.Run("none, and none may be started", func(t *testing.T) {
		s.complains(t, complaint{1, api.CodeDaemon, []string{"not running", "--no-autostart"}}, "--no-autostart", "list")
	})
	t.Run("another version", func(t *testing.T) {
		dir := filepath.Join(s.Dir(), "other")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("unix", filepath.Join(dir, "broker.sock"))
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"api":99,"version":"v9.9.9","pid":%d,"config":%q,"ssh_config":"","state_dir":%q}`, os.Getpid(), s.ConfigFile(), dir)
		})}
		var running sync.WaitGroup
		running.Go(func() { srv.Serve(l) })
		defer running.Wait()
		defer srv.Close()
		r := s.runWith(t, []string{"BROKER_STATE_DIR=" + dir}, "list", "--json")
		complaint{1, api.CodeVersion, []string{"v9.9.9", "99", "brokerctl stop"}}.check(t, errorOf(t, r))
	})
	t.Run("another configuration", func(t *testing.T) {
		s.OK("list")
		other := filepath.Join(s.Dir(), "other.toml")
		if err := os.WriteFile(other, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s.complains(t, complaint{2, api.CodeConfig, []string{other, s.ConfigFile(), "brokerctl stop"}}, "--config", other, "list")
		s.complains(t, complaint{2, api.CodeConfig, []string{"/nonexistent.toml"}}, "--config", "/nonexistent.toml", "list")
		r := s.runWith(t, []string{"BROKER_SSH_CONFIG=" + other}, "list", "--json")
		complaint{2, api.CodeConfig, []string{other, "ssh"}}.check(t, errorOf(t, r))
	})
	t.Run("no brokerd beside brokerctl", func(t *testing.T) {
		dir := t.TempDir()
		text, err := os.ReadFile(filepath.Join(brokertest.Bin(t), "brokerctl"))
		if err != nil {
			t.Fatal(err)
		}
		alone := filepath.Join(dir, "brokerctl")
		executable.Write(t, alone, text)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := s.Command(ctx, "list", "--json")
		cmd.Path = alone
		cmd.Env = append(cmd.Env, "BROKER_STATE_DIR="+filepath.Join(s.Dir(), "alone"))
		complaint{1, api.CodeDaemon, []string{"brokerd", dir}}.check(t, errorOf(t, finish(t, cmd)))
	})
}
