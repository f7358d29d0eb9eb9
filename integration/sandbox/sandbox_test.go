package sandbox_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/integration/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEnvironLeadsToNothingOfTheDevelopers(t *testing.T) {
	base := []string{"PATH=/bin", "SSH_AUTH_SOCK=/agent", "BROKER_SOCKET=/s", "XDG_RUNTIME_DIR=/run", "HOME=/h", "TMPDIR=/elsewhere"}
	env, err := sandbox.Environ(t.Context(), base, sandbox.Paths{StateDir: "/state", Temp: "/t", Mark: "m"})
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range env {
		if k, _, _ := strings.Cut(kv, "="); k == "SSH_AUTH_SOCK" || k == "BROKER_SOCKET" || k == "XDG_RUNTIME_DIR" {
			t.Errorf("%s is still there", kv)
		}
	}
	for _, want := range []string{"PATH=/bin", "HOME=/h", "BROKER_STATE_DIR=/state", "TMPDIR=/t", sandbox.MarkVariable + "=m"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestStockFindsProcessesPortsAndFiles(t *testing.T) {
	const mark = "leftovers-test"
	temp := t.TempDir()
	ours := func(name string, args ...string) *exec.Cmd {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Env = append(os.Environ(), sandbox.MarkVariable+"="+mark)
		return cmd
	}

	before := ours("sleep", "1000")
	if err := before.Start(); err != nil {
		t.Fatal(err)
	}
	stock, err := sandbox.Take(mark, temp, func(sandbox.Process) bool { return false })
	if errors.Is(err, sandbox.ErrNoProc) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	added := func() string { // with what other tests on this machine leave just now
		t.Helper()
		left, err := stock.Added()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(left, "\n")
	}
	if left := added(); strings.Contains(left, "sleep") {
		t.Errorf("added at once: %s", left)
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
	all := added()
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
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if left, err := stock.Left(ctx); err != nil || len(left) != 0 {
		t.Errorf("still left: %q, %v", left, err)
	}
	after.Wait()
	before.Process.Kill()
	before.Wait()
}
