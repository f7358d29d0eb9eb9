package brokertest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/sandbox"
)

// Open runs `brokerctl open` and returns the session, which is ready.
func (b *Broker) Open(args ...string) api.Session {
	b.t.Helper()
	s := JSON[api.Session](b, append([]string{"open"}, args...)...)
	if s.ID == "" || s.Local == "" || s.Phase != api.PhaseReady {
		b.t.Fatalf("open %q gave a session that is not ready: %+v", args, s)
	}
	return s
}

// Show returns a session as `brokerctl show` tells it.
func (b *Broker) Show(id string) api.Session { b.t.Helper(); return JSON[api.Session](b, "show", id) }

// Close closes a session and demands that nothing is left of it.
func (b *Broker) Close(id string) {
	b.t.Helper()
	closed := JSON[[]api.Closed](b, "close", id)
	if len(closed) != 1 || closed[0].ID != id || len(closed[0].Left) != 0 || closed[0].Error != nil {
		b.t.Errorf("close %s: %+v", id, closed)
	}
}

// Await waits until cond holds for a session and returns it as it was then. what names the condition if it never holds.
func (b *Broker) Await(id, what string, cond func(api.Session) bool) api.Session {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), runTimeout)
	defer cancel()
	client := api.NewClient(b.Socket())
	defer client.Close()
	var last api.Session
	for s, err := range client.WatchSessions(ctx, true) {
		if err != nil {
			b.t.Fatalf("wait until %s: %v; last seen: %+v", what, err, last)
		}
		if s.ID != id {
			continue
		}
		if cond(s) {
			return s
		}
		last = s
	}
	b.t.Fatalf("wait until %s: the daemon ended; last seen: %+v", what, last)
	return last
}

// PID is the daemon's process id.
func (b *Broker) PID() int {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), runTimeout)
	defer cancel()
	client := api.NewClient(b.Socket())
	defer client.Close()
	info, err := client.Info(ctx)
	if err != nil {
		b.t.Fatalf("ask the daemon who it is: %v", err)
	}
	return info.PID
}

// Crash ends the daemon with SIGKILL and waits until it is gone.
func (b *Broker) Crash() {
	b.t.Helper()
	pid := b.PID()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		b.t.Fatal(err)
	}
	gone := func() bool {
		return !slices.ContainsFunc(b.daemons(), func(p sandbox.Process) bool { return p.PID == pid })
	}
	if !await(stopTimeout, gone) {
		b.t.Fatalf("brokerd %d survived SIGKILL", pid)
	}
}

// Log is the daemon's log so far.
func (b *Broker) Log() string {
	text, err := os.ReadFile(filepath.Join(b.StateDir(), "brokerd.log"))
	if errors.Is(err, os.ErrNotExist) {
		return "(no brokerd.log)"
	}
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// daemons are the brokerds of this Broker that run.
func (b *Broker) daemons() []sandbox.Process {
	b.t.Helper()
	return slices.DeleteFunc(b.marked(), func(p sandbox.Process) bool { return !b.isDaemon(p) })
}

// strays are the processes that bear the mark and belong to no daemon or command.
func (b *Broker) strays() []sandbox.Process {
	b.t.Helper()
	return slices.DeleteFunc(b.marked(), func(p sandbox.Process) bool { return filepath.Dir(p.Exe) == b.bin })
}

func (b *Broker) marked() []sandbox.Process {
	b.t.Helper()
	all, err := sandbox.Marked(b.mark)
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func (b *Broker) isDaemon(p sandbox.Process) bool {
	// Several Brokers may use one sshd.Server and with it one mark.
	return p.Exe == filepath.Join(b.bin, "brokerd") && p.StateDir == b.StateDir()
}

// end stops the daemon, then whatever still bears the mark, so that a test that failed leaves nothing behind either.
func (b *Broker) end() {
	for _, p := range b.daemons() {
		_ = syscall.Kill(p.PID, syscall.SIGTERM) // an error says that it has ended
	}
	if !await(stopTimeout, func() bool { return len(b.daemons()) == 0 }) {
		b.t.Errorf("brokerd did not follow SIGTERM within %s", stopTimeout)
		for _, p := range b.daemons() {
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		strays := b.strays()
		for _, p := range strays {
			b.t.Logf("still there at the end of the test, gets %s: %s", sig, p)
			_ = syscall.Kill(p.PID, sig)
		}
		if len(strays) > 0 {
			await(strayTimeout, func() bool { return len(b.strays()) == 0 })
		}
	}
	b.checkRaces()
	if b.t.Failed() {
		b.t.Logf("brokerd.log:\n%s", b.Log())
	}
	if err := os.RemoveAll(b.dir); err != nil {
		b.t.Errorf("remove the broker's directory: %v", err)
	}
}

func await(limit time.Duration, cond func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return sandbox.Await(ctx, cond)
}
