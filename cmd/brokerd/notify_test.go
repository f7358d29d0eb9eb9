package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// TestMain lets the tests start this program as brokerd.
func TestMain(m *testing.M) {
	if os.Getenv("BE_BROKERD") != "" {
		main()
	}
	os.Exit(m.Run())
}

// TestSystemdIsTold starts brokerd as a Type=notify unit would, with a real socket for its words. READY comes when it answers, and
// STOPPING when it begins to end.
func TestSystemdIsTold(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "bn-") // short, for the sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	words, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer words.Close()
	state := filepath.Join(dir, "s")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "--service", "systemd", "--state-dir", state)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	cmd.Env = append(os.Environ(), "BE_BROKERD=1", "HOME="+dir, "BROKER_SSH_CONFIG=none", "BROKER_CONFIG=", "XDG_CONFIG_HOME="+dir,
		"NOTIFY_SOCKET="+words.LocalAddr().String(), "INVOCATION_ID=x", "LISTEN_FDS=1", "WATCHDOG_USEC=1000000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}()
	heard(t, words, "READY=1")
	c := api.NewClient(filepath.Join(state, api.SocketName))
	defer c.Close()
	info, err := c.Info(ctx)
	if err != nil {
		t.Fatalf("READY, and it does not answer: %v", err)
	}
	if info.Service != "systemd" || info.PID != cmd.Process.Pid {
		t.Errorf("info: %+v", info)
	}
	if log, err := os.ReadFile(filepath.Join(state, api.LogName)); err != nil || !strings.Contains(string(log), "ready") {
		t.Errorf("the log is not where the hints say: %q, %v", log, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	heard(t, words, "STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Errorf("end: %v\n%s", err, &stderr)
	}
}

func heard(t *testing.T, words *net.UnixConn, want string) {
	t.Helper()
	if err := words.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1024)
	n, err := words.Read(b)
	if err != nil || string(b[:n]) != want {
		t.Fatalf("systemd was told %q, %v, not %q", b[:n], err, want)
	}
}

// What brokerd starts, the user's programs on this machine among it, must not find systemd's socket.
func TestChildrenDoNotSpeakForUs(t *testing.T) {
	words, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "n"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer words.Close()
	for name, value := range map[string]string{"NOTIFY_SOCKET": words.LocalAddr().String(), "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "LISTEN_FDS": "1", "LISTEN_PID": "1"} {
		t.Setenv(name, value)
	}
	n, err := takeNotifier()
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"READY=1", "STOPPING=1"} {
		for _, kv := range os.Environ() {
			if strings.HasPrefix(kv, "NOTIFY_") || strings.HasPrefix(kv, "WATCHDOG_") || strings.HasPrefix(kv, "LISTEN_") {
				t.Errorf("before %s, our children have %s", state, kv)
			}
		}
		if err := n.tell(state); err != nil {
			t.Fatal(err)
		}
		heard(t, words, state)
	}
	if v, ok := os.LookupEnv("NOTIFY_SOCKET"); ok {
		t.Errorf("our children have NOTIFY_SOCKET=%s", v)
	}
	words.Close()
	if err := n.tell("READY=1"); err == nil {
		t.Error("nobody listens, and that is no error")
	}
	if err := (&notifier{}).tell("READY=1"); err != nil {
		t.Errorf("without systemd: %v", err)
	}
}
