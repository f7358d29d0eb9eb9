package integration_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/executable"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// script writes an executable shell script and returns its path.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	executable.Write(t, path, []byte("#!/bin/sh\n"+text))
	return path
}

// file writes a file and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLaunchesThatFail: each is told apart, with what was printed, and nothing stays on the host.
func TestLaunchesThatFail(t *testing.T) {
	t.Parallel()
	python, node, jdk, dlv := tools.Need(t, tools.Python), tools.Need(t, tools.Node), tools.Need(t, tools.Java), tools.NeedDlv(t)
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	classes := programs.BuildJava(t, jdk)
	nodebugpy := script(t, `exec `+python+` -S -E "$@"`)
	ticker := programs.Path(t, "python/ticker.py")
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.Mkdir(broken, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"go.mod": "module broken\n\ngo 1.21\n", "main.go": "package main\n\nfunc main() { undefinedName() }\n"} {
		if err := os.WriteFile(filepath.Join(broken, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		want complaint
		args []string
	}{
		{"python/no interpreter", complaint{6, api.CodeMissingTool, []string{"/nonexistent/python"}}, []string{"box:python", "--interpreter", "/nonexistent/python", "--", ticker}},
		{"python/no debugpy", complaint{6, api.CodeMissingTool, []string{"debugpy", "pip install"}}, []string{"box:python", "--interpreter", nodebugpy, "--", ticker}},
		{"python/no program", complaint{1, api.CodeNotFound, []string{"/nonexistent/app.py"}}, []string{"box:python", "--interpreter", python, "--", "/nonexistent/app.py"}},
		{"python/no module", complaint{1, api.CodeNotFound, []string{"nosuchmodule"}}, []string{"box:python", "--interpreter", python, "--", "-m", "nosuchmodule"}},
		{"python/no cwd", complaint{1, api.CodeNotFound, []string{"/nonexistent/dir"}}, []string{"box:python", "--interpreter", python, "--cwd", "/nonexistent/dir", "--", ticker}},
		{"python/throws on import", complaint{1, api.CodeProgramEnded, []string{"ModuleNotFoundError", "a_module_that_is_not_there", "status 1"}}, []string{"box:python", "--interpreter", python, "--no-wait", "--", programs.Path(t, "python/throws.py")}},
		{"python/exits at once", complaint{1, api.CodeProgramEnded, []string{"tick 1", "status 3"}}, []string{"box:python", "--interpreter", python, "--no-wait", "--", ticker, "1", "3"}},
		{"python/a directory", complaint{1, api.CodeNotFound, []string{broken}}, []string{"box:python", "--interpreter", python, "--", broken}},
		{"go/no dlv", complaint{6, api.CodeMissingTool, []string{"/nonexistent/dlv"}}, []string{"box:go", "--interpreter", "/nonexistent/dlv", "--", "/bin/true"}},
		{"go/no program", complaint{1, api.CodeNotFound, []string{"/nonexistent/bin"}}, []string{"box:go", "--interpreter", dlv, "--", "/nonexistent/bin"}},
		{"go/no cwd", complaint{1, api.CodeNotFound, []string{"/nonexistent/dir"}}, []string{"box:go", "--interpreter", dlv, "--cwd", "/nonexistent/dir", "--", "."}},
		{"go/does not build", complaint{1, api.CodeProgramEnded, []string{"undefinedName", "main.go:3"}}, []string{"box:go", "--interpreter", dlv, "--cwd", broken, "--", "."}},
		{"go/not an executable of Go", complaint{1, api.CodeProgramEnded, nil}, []string{"box:go", "--interpreter", dlv, "--", script(t, "exit 0\n")}},
		{"node/no node", complaint{6, api.CodeMissingTool, []string{"/nonexistent/node"}}, []string{"box:node", "--interpreter", "/nonexistent/node", "--", programs.Path(t, "node/ticker.js")}},
		{"node/no program", complaint{1, api.CodeNotFound, []string{"/nonexistent/app.js"}}, []string{"box:node", "--interpreter", node, "--", "/nonexistent/app.js"}},
		{"node/throws", complaint{1, api.CodeProgramEnded, []string{"Error"}}, []string{"box:node", "--interpreter", node, "--no-wait", "--", programs.Path(t, "node/throws.js")}},
		{"node/syntax", complaint{1, api.CodeProgramEnded, []string{"SyntaxError"}}, []string{"box:node", "--interpreter", node, "--no-wait", "--", file(t, "bad.js", "function (")}},
		{"java/no java", complaint{6, api.CodeMissingTool, []string{"/nonexistent/java"}}, []string{"box:java", "--interpreter", "/nonexistent/java", "--", "Ticker"}},
		{"java/no class", complaint{1, api.CodeProgramEnded, []string{"NoSuchClass"}}, []string{"box:java", "--interpreter", jdk.Java, "--no-wait", "--", "-cp", classes, "NoSuchClass"}},
		{"java/no jar", complaint{1, api.CodeNotFound, []string{"/nonexistent/x.jar"}}, []string{"box:java", "--interpreter", jdk.Java, "--", "-jar", "/nonexistent/x.jar"}},
		{"java/throws", complaint{1, api.CodeProgramEnded, []string{"Exception"}}, []string{"box:java", "--interpreter", jdk.Java, "--no-wait", "--", "-cp", classes, "Throws"}},
		{"port/nothing there", complaint{1, api.CodeNotFound, []string{"nothing listens"}}, []string{"box:python", "--port", strconv.Itoa(closedPort(t))}},
		{"here/no program", complaint{1, api.CodeNotFound, []string{"/nonexistent/app.py"}}, []string{":python", "--interpreter", python, "--", "/nonexistent/app.py"}},
		{"here/throws", complaint{1, api.CodeProgramEnded, []string{"ModuleNotFoundError"}}, []string{":python", "--interpreter", python, "--no-wait", "--", programs.Path(t, "python/throws.py")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := s.complainsOnce(t, tt.want, append([]string{"open"}, tt.args...)...)
			if strings.Contains(e.Hint, "above") && e.Output == "" {
				t.Errorf("the hint is about output, and there is none: %+v", e)
			}
		})
	}
}

// TestLaunchErrorsForPeople: what --json has, people read too, output included.
func TestLaunchErrorsForPeople(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	s.complains(t, complaint{1, api.CodeProgramEnded, []string{"ModuleNotFoundError", "status 1", "--no-wait"}},
		"open", "box:python", "--interpreter", python, "--no-wait", "--", programs.Path(t, "python/throws.py"))
}

// TestServersThatNeverAnnounce: the wait is bounded by open_timeout, and what the server printed is shown.
func TestServersThatNeverAnnounce(t *testing.T) {
	t.Parallel()
	python, node := tools.Need(t, tools.Python), tools.Need(t, tools.Node)
	s := newStation(t, sshd.Options{}, "[session]\nopen_timeout = \"2s\"\n")
	s.clean(t)
	// They answer the probes, and start something that says nothing useful.
	mutePython := script(t, `case "$*" in *"-c "*|*--version*|*-V*|"") exec `+python+` "$@";; esac
for a; do case "$a" in /*|*debugpy*) case "$*" in *bootstrap*|*--listen*) echo "stuck in the server" >&2; exec sleep 1000;; esac;; esac; done
exec `+python+` "$@"`)
	muteNode := script(t, `case "$*" in *--inspect*) echo "stuck in the server" >&2; exec sleep 1000;; esac
exec `+node+` "$@"`)
	muteJava := script(t, `case "$*" in *jdwp*) echo "stuck in the server" >&2; trap '' TERM; while :; do sleep 1; done;; esac; exec java "$@"`)
	muteDlv := script(t, `case "$1" in version) echo "Delve Debugger"; echo "Version: 1.27.2";; *) echo "stuck in the server" >&2; trap '' TERM INT; while :; do sleep 1; done;; esac`)
	jar := file(t, "x.jar", "")
	for name, args := range map[string][]string{
		"python": {"box:python", "--interpreter", mutePython, "--", programs.Path(t, "python/ticker.py")},
		"node":   {"box:node", "--interpreter", muteNode, "--", programs.Path(t, "node/ticker.js")},
		"java":   {"box:java", "--interpreter", muteJava, "--", "-jar", jar},
		"go":     {"box:go", "--interpreter", muteDlv, "--", "/bin/true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			s.complainsOnce(t, complaint{1, api.CodeNotReady, []string{"stuck in the server", "2s", "open_timeout"}}, append([]string{"open"}, args...)...)
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// TestBusyLocalPort: the port is refused before the host is asked for anything, and names itself.
func TestBusyLocalPort(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s.complains(t, complaint{1, api.CodePortBusy, []string{port, "listens on it", "--local-port"}}, "open", "box:python", "--interpreter", python, "--local-port", port, "--", programs.Path(t, "python/ticker.py"))
	if strings.Contains(s.sshd.Log(), "Accepted publickey") {
		t.Error("the host was connected to although the port was busy")
	}
}
