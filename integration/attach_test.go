package integration_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/frontend/expect"
)

// untraced demands that nobody traces a program, and that it is not stopped.
func untraced(t *testing.T, pid int) {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Errorf("the program is gone: %v", err)
		return
	}
	for line := range strings.Lines(string(status)) {
		if tracer, ok := strings.CutPrefix(line, "TracerPid:"); ok && strings.TrimSpace(tracer) != "0" {
			t.Errorf("process %d is still traced by %s", pid, strings.TrimSpace(tracer))
		}
		if state, ok := strings.CutPrefix(line, "State:"); ok && strings.ContainsAny(strings.TrimSpace(state)[:1], "tT") {
			t.Errorf("process %d is stopped: %s", pid, strings.TrimSpace(state))
		}
	}
}

// closeAttached closes a session on a running program. What cannot be removed (a JVM's agent) must be named, the rest be gone.
func closeAttached(t *testing.T, b *brokertest.Broker, lang, id string) {
	t.Helper()
	closed := brokertest.JSON[[]api.Closed](b, "close", id)
	if len(closed) != 1 || closed[0].Error != nil || (len(closed[0].Left) > 0) != (lang == "java") {
		t.Errorf("close %s: %+v", id, closed)
	}
}

// TestAttach: whatever ends a front end or the session, the program runs on, not paused, without breakpoints, and can be attached to
// again.
func TestAttach(t *testing.T) {
	t.Parallel()
	for _, k := range attachKinds(t) {
		t.Run(k.lang, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, k.options())
			h := k.start(t)
			pid := h.cmd.Process.Pid
			for round := range 2 {
				v := k.attach(t, w, "box", h)
				h.runsOn() // it waits for nobody
				leave, _ := k.stops(t, v.Local)
				leave()
				h.runsOn()
				_, crash := k.stops(t, v.Local)
				crash()
				h.runsOn()
				k.stops(t, v.Local) // closed while it stands at a breakpoint
				closeAttached(t, w.Broker, k.lang, v.ID)
				h.runsOn()
				untraced(t, pid)
				if t.Failed() {
					t.Fatalf("in round %d", round)
				}
			}
		})
	}
}

// TestAttachedProgramOutlivesTheDaemon: `brokerctl stop`, and the daemon's crash.
func TestAttachedProgramOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	for _, k := range attachKinds(t) {
		t.Run(k.lang, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, k.options())
			h := k.start(t)
			v := k.attach(t, w, "box", h)
			k.stops(t, v.Local)
			w.OK("stop")
			h.runsOn()
			untraced(t, h.cmd.Process.Pid)

			v = k.attach(t, w, "box", h)
			k.stops(t, v.Local)
			w.Crash()
			h.runsOn()
			v = k.attach(t, w, "box", h) // cleans up what the crash left
			untracedButByUs(t, k.lang, h.cmd.Process.Pid)
			k.stops(t, v.Local)
			closeAttached(t, w.Broker, k.lang, v.ID)
			h.runsOn()
			untraced(t, h.cmd.Process.Pid)
		})
	}
}

func untracedButByUs(t *testing.T, lang string, pid int) {
	t.Helper()
	if lang != "go" { // Delve traces it again
		untraced(t, pid)
	}
}

// TestAttachedProgramOutlivesTheLink: the host cleans up by itself.
func TestAttachedProgramOutlivesTheLink(t *testing.T) {
	t.Parallel()
	for _, k := range attachKinds(t) {
		t.Run(k.lang, func(t *testing.T) {
			t.Parallel()
			s := newStation(t, k.options(), "")
			left := s.Leftovers()
			h := k.start(t)
			v := k.attach(t, s, "box", h)
			k.stops(t, v.Local)
			s.sshd.Stop()
			lost(t, s, v.ID)
			h.runsOn()
			left.Check()
			untraced(t, h.cmd.Process.Pid)
			s.sshd.Start()
			s.Run("close", v.ID)
			v = k.attach(t, s, "box", h)
			k.stops(t, v.Local)
			closeAttached(t, s.Broker, k.lang, v.ID)
			h.runsOn()
		})
	}
}

// TestAttachedProgramEnds: the session ends with it.
func TestAttachedProgramEnds(t *testing.T) {
	t.Parallel()
	for _, k := range attachKinds(t) {
		t.Run(k.lang, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, k.options())
			h := k.start(t)
			v := k.attach(t, w, "box", h)
			if err := h.cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			go h.reap() // whoever started it reaps it
			ended := w.Await(v.ID, "the session has ended", func(v api.Session) bool { return v.Phase.Ended() })
			if ended.Phase != api.PhaseClosed || ended.Error != nil {
				t.Errorf("phase %s, error %+v", ended.Phase, ended.Error)
			}
		})
	}
}

// TestAttachOnThisMachine is TestAttach's short way without SSH.
func TestAttachOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, k := range attachKinds(t) {
		t.Run(k.lang, func(t *testing.T) {
			t.Parallel()
			b := brokertest.New(t, brokertest.Options{Env: k.environ()})
			h := k.start(t)
			v := k.attach(t, b, "", h)
			k.stops(t, v.Local)
			closeAttached(t, b, k.lang, v.ID)
			h.runsOn()
			untraced(t, h.cmd.Process.Pid)
		})
	}
}

// TestAttachExpires: when the time is up the program runs on.
func TestAttachExpires(t *testing.T) {
	t.Parallel()
	k := attachGo(t)
	w := newWorld(t, k.options())
	h := k.start(t)
	v := k.attach(t, w, "box", h, "--ttl", "8s")
	k.stops(t, v.Local)
	ended := w.Await(v.ID, "the session has expired", func(v api.Session) bool { return v.Phase.Ended() })
	if ended.Phase != api.PhaseExpired || time.Until(ended.Expires) > 0 {
		t.Errorf("phase %s, expires %s", ended.Phase, ended.Expires)
	}
	h.runsOn()
	untraced(t, h.cmd.Process.Pid)
}

// TestAttachWithoutDirectory: the program's working directory has been removed, as the last release's is after a deployment.
func TestAttachWithoutDirectory(t *testing.T) {
	t.Parallel()
	for _, k := range attachKinds(t) {
		t.Run(k.lang, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, k.options())
			dir := t.TempDir()
			cmd := exec.Command(k.argv[0], k.argv[1:]...)
			cmd.Dir = dir
			h := startCommand(t, "tick", cmd)
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
			if k.lang == "python" { // debugpy does not get in
				complaint{code: api.CodeUnsuitable, words: []string{"working directory of process " + h.pid(), "has been removed", dir}}.check(t, w.In(t).Fails(1, "open", "box:python", "--pid", h.pid()))
				h.untouched()
				return
			}
			v := k.attach(t, w, "box", h)
			h.runsOn()
			leave, _ := k.stops(t, v.Local)
			leave()
			h.runsOn()
			closeAttached(t, w.Broker, k.lang, v.ID)
			h.runsOn()
			untraced(t, h.cmd.Process.Pid)
		})
	}
}

// TestAttachDirectoryRemovedLater: the directory goes after the session was opened. debugpy does not get in; the front end is told so at once, in
// the answer to its attach, and the program is not touched.
func TestAttachDirectoryRemovedLater(t *testing.T) {
	t.Parallel()
	k := attachPython(t)
	w := newWorld(t, k.options())
	dir := t.TempDir()
	cmd := exec.Command(k.argv[0], k.argv[1:]...)
	cmd.Dir = dir
	h := startCommand(t, "tick", cmd)
	v := k.attach(t, w, "box", h)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		d := expect.DialDAP(t, v.Local)
		d.Initialize()
		ctx, cancel := context.WithTimeout(t.Context(), expect.Limit)
		err := d.DAP.Attach(ctx, nil)
		cancel()
		if err == nil || !strings.Contains(err.Error(), "the working directory of process "+h.pid()+" has been removed") || !strings.Contains(err.Error(), dir) {
			t.Errorf("attach: %v", err)
		}
		d.Close()
	}
	h.untouched()
	closeAttached(t, w.Broker, k.lang, v.ID)
	h.runsOn()
}
