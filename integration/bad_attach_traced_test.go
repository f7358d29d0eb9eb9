package integration_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// traced has this very process trace another one, which runs on, until the test ends. The tracer is a thread that is not the first
// one, as Delve's is.
func traced(t *testing.T, pid int) {
	t.Helper()
	seized, end, ended := make(chan error, 1), make(chan struct{}), make(chan error, 1)
	go func() {
		// Never unlocked: the thread goes with the goroutine, and with it whatever it still traced.
		runtime.LockOSThread()
		err := unix.PtraceSeize(pid)
		seized <- err
		if err == nil {
			passOn(pid, end)
			err = letGo(pid)
		}
		ended <- err
	}()
	if err := <-seized; err != nil {
		t.Fatalf("trace process %d: %v", pid, err)
	}
	t.Cleanup(func() {
		close(end)
		if err := <-ended; err != nil {
			t.Errorf("let process %d go: %v", pid, err)
		}
	})
}

// passOn gives a traced process the signals that it gets, for each of which it stops: Go's scheduler sends itself many.
func passOn(pid int, end <-chan struct{}) {
	for {
		select {
		case <-end:
			return
		case <-time.After(5 * time.Millisecond):
		}
		var status unix.WaitStatus
		for {
			got, err := unix.Wait4(pid, &status, unix.WALL|unix.WNOHANG, nil)
			if err != nil || got != pid || !status.Stopped() {
				break
			}
			if unix.PtraceCont(pid, int(status.StopSignal())) != nil {
				break
			}
		}
	}
}

// letGo detaches, for which the kernel wants the process stopped.
func letGo(pid int) error {
	if err := unix.PtraceInterrupt(pid); err != nil {
		return err
	}
	if _, err := unix.Wait4(pid, nil, unix.WALL, nil); err != nil {
		return err
	}
	return unix.PtraceDetach(pid)
}

// TestAttachToATracedProcess: one debugger at a time. The other one is named, and keeps the process.
func TestAttachToATracedProcess(t *testing.T) {
	t.Parallel()
	tools.NeedDlv(t)
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	us, me := strconv.Itoa(os.Getpid()), filepath.Base(os.Args[0])
	for lang, h := range crowdOf(t) {
		pid := h.cmd.Process.Pid
		traced(t, pid)
		s.complains(t, complaint{1, api.CodeTraced, []string{"process " + h.pid(), "is already being debugged by pid " + us + " (" + me + ")"}}, "open", "box:"+lang, "--pid", h.pid())
		h.runsOn()
		if tracer := statusOf(t, pid, "TracerPid"); tracer == "0" {
			t.Errorf("%s: nobody traces it any more", lang)
		}
		p := shown(t, s, "box:"+lang)[pid]
		if p.Tracer == nil || p.Tracer.PID != os.Getpid() || p.Tracer.Command != me || p.Lang != lang {
			t.Errorf("%s: ps says %+v", lang, p)
		}
	}
}

// shown is what brokerctl ps shows, by pid.
func shown(t *testing.T, s station, args ...string) map[int]api.Process {
	t.Helper()
	list := map[int]api.Process{}
	for _, p := range brokertest.JSON[[]api.Process](s.In(t), append([]string{"ps"}, args...)...) {
		list[p.PID] = p
	}
	return list
}

// TestAttachToWhatASessionHas: the session is named, under whatever name its host goes, and it lives on.
func TestAttachToWhatASessionHas(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.sshd.AddHost("alias")
	s.clean(t)
	// Attached to.
	k := attachGo(t)
	h := k.start(t)
	v := k.attach(t, s, "box", h)
	refused := complaint{1, api.CodeTraced, []string{"process " + h.pid() + " (ticker) is already being debugged by session " + v.ID, v.Local, "brokerctl close " + v.ID}}
	s.complains(t, refused, "open", "box:go", "--pid", h.pid())
	s.complainsOnce(t, refused, "open", "box:go", "--match", "^"+h.cmd.Path+"$")
	tracer := statusOf(t, h.cmd.Process.Pid, "TracerPid")
	for _, host := range []string{"alias", ""} {
		s.complainsOnce(t, complaint{1, api.CodeTraced, []string{"process " + h.pid(), "already being debugged by", "session " + v.ID}}, "open", host+":go", "--pid", h.pid())
	}
	p := shown(t, s, "box:go")
	if p[h.cmd.Process.Pid].Session != v.ID {
		t.Errorf("ps says %+v of session %s", p[h.cmd.Process.Pid], v.ID)
	}
	// Its debug server, which is a Go program too. The tracer is one of its threads.
	server, err := strconv.Atoi(slurpStatus(t, tracer, "Tgid"))
	if err != nil || !p[server].Server {
		t.Errorf("ps says %+v of the tracer %s (%v)", p[server], tracer, err)
	}
	s.complains(t, complaint{1, api.CodeUnsuitable, []string{"process " + strconv.Itoa(server) + " (dlv) is the debug server of session " + v.ID}}, "open", "box:go", "--pid", strconv.Itoa(server))
	leave, _ := k.stops(t, v.Local)
	leave()
	h.runsOn()
	closeAttached(t, s.Broker, "go", v.ID)
	h.untouched()

	// Launched, in each language.
	for _, k := range tickers(t) {
		v := s.Open(k.open("box", []string{"--no-wait"})...)
		pid := strconv.Itoa(*v.PID)
		s.complainsOnce(t, complaint{1, api.CodeTraced, []string{"process " + pid, "is already being debugged by session " + v.ID}}, "open", "box:"+k.lang, "--pid", pid)
		s.complainsOnce(t, complaint{1, api.CodeTraced, []string{"process " + pid, "session " + v.ID}}, "open", "alias:"+k.lang, "--pid", pid)
		if now := s.Show(v.ID); now.Phase != api.PhaseReady {
			t.Errorf("%s: the session has suffered: %+v", k.lang, now)
		}
		s.Broker.Close(v.ID)
	}
}

func slurpStatus(t *testing.T, pid, key string) string {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	return statusOf(t, n, key)
}
