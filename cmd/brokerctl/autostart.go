package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs/service"
)

// How long starting a daemon may take, and how long somebody else's start is waited for.
const (
	startTimeout = 10 * time.Second
	lockTimeout  = 2 * startTimeout
	pollInterval = 20 * time.Millisecond
)

// start starts the daemon, once among all brokerctls that find none at the same time: who has the lock starts it and waits until it
// answers; the others then find it running.
func (p place) start(ctx context.Context, c *api.Client, env func(string) string) (api.DaemonInfo, error) {
	if err := makePrivate(p.stateDir); err != nil {
		return api.DaemonInfo{}, err
	}
	lock := flock.New(filepath.Join(p.stateDir, "start.lock"), flock.SetPermissions(0o600))
	bounded, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	if _, err := lock.TryLockContext(bounded, pollInterval); err != nil {
		if ctx.Err() == nil && bounded.Err() != nil {
			return api.DaemonInfo{}, startError("another brokerctl has been starting brokerd for too long", p)
		}
		return api.DaemonInfo{}, fmt.Errorf("lock %s: %w", lock.Path(), err)
	}
	defer lock.Close()
	if info, err := ask(ctx, c); !notRunning(err) {
		return info, err
	}
	if m := p.startService(ctx, env); m != nil {
		if info, err := p.answers(ctx, c, m); err == nil {
			return info, nil
		}
	}
	program, err := p.brokerd()
	if err != nil {
		return api.DaemonInfo{}, err
	}
	words, err := p.startLog()
	if err != nil {
		return api.DaemonInfo{}, fmt.Errorf("create brokerd's start log: %w", err)
	}
	defer words.Close()
	pid, err := p.spawn(program, words, env)
	if err != nil {
		return api.DaemonInfo{}, &api.Error{Code: api.CodeDaemon, Message: fmt.Sprintf("start brokerd: %v", err), Hint: "install brokerd beside brokerctl, or name it in the configuration: brokerd = \"/path\""}
	}
	return p.ready(ctx, c, pid, words)
}

// startService starts the daemon through the service where one is installed for this place, so that it is the service's from then on
// and not a second one beside it. It returns the service's manager, nil where there is none or it does not start: the daemon that we start
// ourselves then tells why.
func (p place) startService(ctx context.Context, env func(string) string) manager {
	m, err := newManager(env)
	if err != nil {
		return nil
	}
	_, have, err := installed(m)
	if err != nil || have == nil {
		return nil
	}
	if socket, _ := service.Socket(m.kind(), have); socket != p.socket {
		return nil
	}
	if p.configGiven || p.sshConfig != "" { // the service's may be others
		if want, err := p.rendered(m, env); err != nil || !bytes.Equal(have, want) {
			return nil
		}
	}
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if m.start(bounded) != nil {
		return nil
	}
	return m
}

// spawn starts program detached from us: nothing of the terminal that we run in reaches it, and it keeps no directory busy.
func (p place) spawn(program string, words *os.File, env func(string) string) (pid int, err error) {
	cmd := exec.Command(program, p.flags()...)
	cmd.Dir = "/"
	cmd.Env = daemonEnv(os.Environ())
	cmd.Stderr = words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid = cmd.Process.Pid
	return pid, cmd.Process.Release()
}

// flags are those of a brokerd for this place.
func (p place) flags() []string {
	flags := []string{"--state-dir", p.stateDir, "--socket", p.socket}
	if p.configGiven || exists(p.config) {
		flags = append(flags, "--config", p.config)
	}
	if p.sshConfig != "" {
		flags = append(flags, "--ssh-config", p.sshConfig)
	}
	return flags
}

// daemonEnv drops what a service manager has told our own parent and would be wrong of the daemon: it is nobody's service.
func daemonEnv(env []string) []string {
	return slices.DeleteFunc(env, func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "JOURNAL_STREAM", "INVOCATION_ID", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID":
			return true
		}
		return false
	})
}

// startLog is brokerd's stderr for all its life: what it says when it cannot start, and a panic later. It is a file since a pipe
// would kill the daemon at its first word after we have gone. brokerd logs elsewhere, so it does not grow.
func (p place) startLog() (*os.File, error) {
	flags := os.O_RDWR | os.O_CREATE | os.O_TRUNC | os.O_APPEND | unix.O_NOFOLLOW
	return os.OpenFile(filepath.Join(p.stateDir, "brokerd.stderr"), flags, 0o600)
}

// ready waits until the daemon answers or has ended.
func (p place) ready(ctx context.Context, c *api.Client, pid int, words *os.File) (api.DaemonInfo, error) {
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		ended, status := reap(pid)
		// Asked after looking for its end: where it ended because another daemon was faster, that one answers.
		info, err := ask(bounded, c)
		switch {
		case err == nil:
			return info, nil
		case ended:
			return api.DaemonInfo{}, lastWords(words, status)
		case !notRunning(err) && bounded.Err() == nil:
			return api.DaemonInfo{}, err
		}
		select {
		case <-tick.C:
		case <-bounded.Done():
			if ctx.Err() != nil {
				return api.DaemonInfo{}, context.Cause(ctx)
			}
			return api.DaemonInfo{}, startError(fmt.Sprintf("brokerd did not answer within %s of its start", startTimeout), p)
		}
	}
}

// reap tells whether our child has ended. It does not block, and os.Process, which would need a goroutine to, is released.
func reap(pid int) (ended bool, status syscall.WaitStatus) {
	for {
		got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		if !errors.Is(err, syscall.EINTR) {
			return got == pid || err != nil, status
		}
	}
}

func startError(message string, p place) error {
	return &api.Error{Code: api.CodeDaemon, Message: message, Hint: "see " + filepath.Join(p.stateDir, "brokerd.log")}
}

func exists(path string) bool {
	if path == "" {
		return false
	}
	_, err := os.Stat(path)
	return err == nil
}
