package usermanager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = time.Minute
	endTimeout   = 30 * time.Second
)

// Manager is one that runs.
type Manager struct {
	// Runtime is its XDG_RUNTIME_DIR; with it in the environment, `systemctl --user` speaks to this manager.
	Runtime string

	cmd    *exec.Cmd
	groups *groups
	log    string
}

// Need starts a manager, or skips the test where there can be none. runtime must be short, there are sockets in it. environ is
// K=V, its environment and that of its services: HOME, and what it must know of XDG_CONFIG_HOME.
func Need(t testing.TB, runtime string, environ ...string) *Manager {
	t.Helper()
	program, err := find()
	if err != nil {
		t.Skipf("no systemd user manager: %v", err)
	}
	g, err := makeGroups(fmt.Sprintf("debugbroker-test-%d-%s", os.Getpid(), t.Name()))
	if err != nil {
		t.Skipf("no systemd user manager: %v", err)
	}
	m := &Manager{Runtime: runtime, groups: g, log: filepath.Join(t.TempDir(), "systemd.log")}
	t.Cleanup(func() {
		if err := m.end(); err != nil {
			t.Errorf("end systemd: %v", err)
		}
	})
	if err := m.start(program, environ); err != nil {
		words, _ := os.ReadFile(m.log)
		t.Fatalf("start %s --user: %v\n%s", program, err, words)
	}
	return m
}

// find tells where systemd is, and what keeps it from being run.
func find() (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("a mount namespace and a control group of its own take root")
	}
	if _, err := exec.LookPath("unshare"); err != nil {
		return "", err
	}
	if out, err := exec.Command("unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/run").CombinedOutput(); err != nil {
		return "", fmt.Errorf("no mount namespace: %s", out)
	}
	for _, path := range []string{"/usr/lib/systemd/systemd", "/lib/systemd/systemd"} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("systemd is not installed: apt install systemd")
}

// launch moves itself into the groups ($1 on, up to --) before it becomes systemd.
const launch = `
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit; shift; done
shift
exec unshare --mount --propagation private sh -c '
	mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec "$0" --user --log-target=console --log-level=info' "$1"
`

func (m *Manager) start(program string, environ []string) error {
	if err := os.MkdirAll(m.Runtime, 0o700); err != nil {
		return err
	}
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(m.Runtime, "ready"), Net: "unixgram"})
	if err != nil {
		return err
	}
	defer ready.Close()
	log, err := os.Create(m.log)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append(append([]string{"-c", launch, "sh"}, m.groups.dirs...), "--", program)
	m.cmd = exec.Command("sh", args...)
	m.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "XDG_RUNTIME_DIR=" + m.Runtime, "NOTIFY_SOCKET=" + ready.LocalAddr().String()}, environ...)
	m.cmd.Stdout, m.cmd.Stderr = log, log
	if err := m.cmd.Start(); err != nil {
		m.cmd = nil
		return err
	}
	if err := ready.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	for b := make([]byte, 4096); ; {
		n, err := ready.Read(b)
		if err != nil {
			return fmt.Errorf("it is not ready: %w", err)
		}
		if strings.Contains("\n"+string(b[:n]), "\nREADY=1") {
			return nil
		}
	}
}

// Command prepares a systemctl that speaks to this manager.
func (m *Manager) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "systemctl", append([]string{"--user"}, args...)...)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+m.Runtime, "LC_ALL=C")
	return cmd
}

// Adopt moves a process into the control group of a unit, as if the unit had started it. group is the unit's ControlGroup.
func (m *Manager) Adopt(pid int, group string) error { return m.groups.adopt(pid, group) }

// Log is what the manager has said.
func (m *Manager) Log() string {
	words, err := os.ReadFile(m.log)
	if err != nil {
		return err.Error()
	}
	return string(words)
}

// end asks the manager to end its services and itself, and kills what is left in its groups.
func (m *Manager) end() error {
	var err error
	if m.cmd != nil {
		ended := make(chan error, 1)
		go func() { ended <- m.cmd.Wait() }()
		if err = m.cmd.Process.Signal(syscall.SIGTERM); err == nil {
			select {
			case <-ended: // whatever it says: it was asked to
			case <-time.After(endTimeout):
				err = errors.Join(fmt.Errorf("it did not end within %s", endTimeout), m.cmd.Process.Kill())
				<-ended
			}
		}
	}
	return errors.Join(err, m.groups.remove())
}
