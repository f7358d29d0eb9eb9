package brokertest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// withStub puts a shell script in the place of brokerctl.
func withStub(t *testing.T, script string) *Broker {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "brokerctl"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv(binVariable, dir)
	t.Setenv("SSH_AUTH_SOCK", "/the/developers/own")
	return New(t, Options{Env: []string{"EXTRA=1"}})
}

func TestRunGivesOutputAndCode(t *testing.T) {
	b := withStub(t, `echo "$@ $EXTRA"; echo "agent=$SSH_AUTH_SOCK state=$BROKER_STATE_DIR" >&2; exit 3`)
	r := b.Run("show", "x")
	want := Result{"show x 1\n", "agent= state=" + b.StateDir() + "\n", 3}
	if r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
	if len(b.Socket()) > 100 {
		t.Errorf("socket path %s is too long for some systems", b.Socket())
	}
}

func TestJSONStandsBeforeTheProgram(t *testing.T) {
	b := withStub(t, `case "$*" in "open box:go --json -- p --x") echo '{"id":"a","local":"127.0.0.1:1","phase":"ready"}';; *) echo "$*";; esac`)
	if s := b.Open("box:go", "--", "p", "--x"); s.ID != "a" {
		t.Errorf("got %+v", s)
	}
}

func TestFailsReadsTheError(t *testing.T) {
	b := withStub(t, `echo '{"error":{"code":"auth","message":"m","hint":"h"}}'; exit 4`)
	if e := b.Fails(4, "list"); e.Code != api.CodeAuth || e.Message != "m" || e.Hint != "h" {
		t.Errorf("got %+v", e)
	}
}

func TestLeftoversFindsProcessesPortsAndFiles(t *testing.T) {
	const mark = "leftovers-test"
	temp := t.TempDir()
	stock := func() *Leftovers {
		return takeStock(t, mark, temp, func(process) bool { return false })
	}
	ours := func(name string, args ...string) *exec.Cmd {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Env = append(os.Environ(), sshd.MarkVariable+"="+mark)
		return cmd
	}

	before := ours("sleep", "1000")
	if err := before.Start(); err != nil {
		t.Fatal(err)
	}
	l := stock()
	if left := l.added(); len(left) != 0 {
		t.Errorf("added at once: %q", left)
	}

	// The listener is handed to the child as its fd 3, so that it is the child's.
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := tcp.(*net.TCPListener).File()
	tcp.Close()
	if err != nil {
		t.Fatal(err)
	}
	after := ours("sleep", "1001")
	after.ExtraFiles = []*os.File{f}
	err = after.Start()
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(temp, "dbk-x")
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(l.added(), "\n")
	for _, want := range []string{"(sleep 1001)", "tcp port ", "file " + file} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not among what was found:\n%s", want, all)
		}
	}
	if strings.Contains(all, "sleep 1000)") {
		t.Errorf("what was there before counts as left:\n%s", all)
	}

	// Not waited for, the child becomes a zombie, which counts as gone.
	if err := after.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if left := l.Left(); len(left) != 0 {
		t.Errorf("still left: %q", left)
	}
	after.Wait()
	before.Process.Kill()
	before.Wait()
}
