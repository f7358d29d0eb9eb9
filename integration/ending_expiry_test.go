package integration_test

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// shortTime is long enough to open a session and stop at a breakpoint before the last warning, ten seconds before the end.
const shortTime = 40 * time.Second

// told waits until a DAP front end's console shows a line with these words.
func told(t *testing.T, d expect.DAP, words string) {
	t.Helper()
	for {
		var body dap.OutputEventBody
		d.WaitEvent("output", &body)
		if strings.HasPrefix(body.Output, "debugbroker: ") && strings.Contains(body.Output, words) {
			if body.Category != "console" {
				t.Errorf("category %q", body.Category)
			}
			return
		}
	}
}

// expired awaits a session's end by its time limit, and demands that the events tell of it.
func expired(t *testing.T, b *brokertest.Broker, v api.Session) {
	t.Helper()
	last := b.In(t).Await(v.ID, "the time limit is reached", func(v api.Session) bool { return v.Phase.Ended() })
	if last.Phase != api.PhaseExpired || last.Error != nil || len(last.Left) > 0 {
		t.Errorf("at the end: %+v", last)
	}
	if over := last.Ended.Sub(last.Expires); over < -time.Second || over > 15*time.Second {
		t.Errorf("ended %v after its time", over)
	}
	for kind, text := range map[string]string{"expiring": "the session's time is up in 10s", "expired": "time limit reached"} {
		if !slices.ContainsFunc(brokertest.Lines[api.Event](b, "events"), func(e api.Event) bool {
			return e.Session == v.ID && e.Kind == kind && e.Text == text
		}) {
			t.Errorf("no event %q %q", kind, text)
		}
	}
}

// TestExpiryWhilePaused: front ends stand at breakpoints when the time is up. They are told before, they are told why, and their sessions
// end; the programs, which are not ours, print on. One after the other all would take long, so they share the time.
func TestExpiryWhilePaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshd.Options{})
	open := func(lang string, port int) api.Session {
		t.Helper()
		return w.Open("box:"+lang, "--port", strconv.Itoa(port), "--ttl", shortTime.String())
	}
	over := func(h *byHand, v api.Session) {
		t.Helper()
		h.runsOn()
		expired(t, w.Broker, v)
		h.runsOn() // without breakpoints
	}
	// paused has a DAP front end stop at a breakpoint, and returns what is to be seen of it afterwards.
	paused := func(h *byHand, v api.Session, attach map[string]any, path string) func() {
		t.Helper()
		d := expect.DialDAP(t, v.Local)
		d.Begin(attach, path, programs.BreakLine(t, path))
		d.WaitStopped("breakpoint")
		return func() {
			t.Helper()
			told(t, d, "time is up in 10s; brokerctl extend "+v.ID+" --ttl 1h gives it more")
			told(t, d, "is over: time limit reached; the program runs on")
			d.WaitEvent("terminated", nil)
			d.WaitClosed()
			over(h, v)
		}
	}
	// Compilers first: they are not on the clock.
	binary, jdk := programs.BuildGo(t, "ticker"), tools.Need(t, tools.Java)
	classes := programs.BuildJava(t, jdk)
	var afterwards []func()

	path, port := programs.Path(t, "python/ticker.py"), freeport.On127(t)
	h := startByHand(t, port, "tick", tools.Need(t, tools.Python), "-Xfrozen_modules=off", "-m", "debugpy", "--listen", "127.0.0.1:"+strconv.Itoa(port), path)
	afterwards = append(afterwards, paused(h, open("python", port), pythonAttach(), path))

	path, port = programs.Path(t, "go/ticker/main.go"), freeport.On127(t)
	h = startByHand(t, port, "tick", tools.NeedDlv(t), "exec", "--headless", "--accept-multiclient", "--continue", "--listen=127.0.0.1:"+strconv.Itoa(port), binary)
	afterwards = append(afterwards, paused(h, open("go", port), delveAttach(), path))

	path, port = programs.Path(t, "node/ticker.js"), freeport.On127(t)
	node := startByHand(t, port, "tick", tools.Need(t, tools.Node), "--inspect=127.0.0.1:"+strconv.Itoa(port), path)
	inspected := open("node", port)
	c := expect.DialCDP(t, inspected.Local)
	c.Start()
	c.SetBreakpoint("file://"+path, programs.BreakLine(t, path))
	c.WaitPaused()
	afterwards = append(afterwards, func() {
		ctx, cancel := context.WithTimeout(t.Context(), expect.Limit)
		defer cancel()
		var why struct{ Reason string }
		if err := c.WaitEvent(ctx, "Inspector.detached", &why); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(why.Reason, "is over: time limit reached; the program runs on") {
			t.Errorf("detached: %q", why.Reason)
		}
		over(node, inspected)
	})

	path, port = programs.Path(t, "java/Ticker.java"), freeport.On127(t)
	jvm := startByHand(t, port, "tick", jdk.Java, "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=127.0.0.1:"+strconv.Itoa(port), "-cp", classes, "Ticker")
	debugged := open("java", port)
	jdb := expect.StartJdb(t, jdk.Jdb, debugged.Local, filepath.Dir(path))
	jdb.Ask("stop at Ticker:"+strconv.Itoa(programs.BreakLine(t, path)), `(?s)Breakpoint hit: .*Ticker\.tick\(\), line`)
	afterwards = append(afterwards, func() { over(jvm, debugged) })

	for _, f := range afterwards {
		f()
	}
}

// TestExpiryOfALaunch: what we have started is ended, its front end told.
func TestExpiryOfALaunch(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	k := pythonTicker(t)
	v := s.Open(k.open("box", []string{"--ttl", shortTime.String()})...)
	d := expect.DialDAP(t, v.Local)
	d.Initialize()
	d.Attach(pythonAttach())
	d.ConfigurationDone()
	told(t, d, "is over: time limit reached; the program is ended")
	d.WaitEvent("terminated", nil)
	d.WaitClosed()
	expired(t, s.Broker, v)
	gone(t, v)
}

// TestEndTellsFrontEnds: close and stop say so, too.
func TestEndTellsFrontEnds(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	for _, end := range []struct {
		why string
		do  func(id string)
	}{
		{"closed by brokerctl close", s.Broker.Close},
		{"brokerd stopped", func(string) { s.OK("stop") }},
	} {
		k := goTicker(t)
		v := s.Open(k.open("box", nil)...)
		d := expect.DialDAP(t, v.Local)
		d.Initialize()
		d.Attach(delveAttach())
		d.ConfigurationDone()
		done := make(chan struct{})
		go func() {
			defer close(done)
			end.do(v.ID)
		}()
		told(t, d, "is over: "+end.why+"; the program is ended")
		d.WaitEvent("terminated", nil)
		d.Disconnect(false) // as an IDE does then
		<-done
		gone(t, v)
	}
}

// TestExtend: a session lives on past the end that it had, and says so wherever it is shown.
func TestExtend(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	k := nodeTicker(t)
	v := s.Open(k.open("box", []string{"--no-wait", "--ttl", "8s"})...)
	if e := s.Fails(2, "extend", v.ID, "--ttl", "1s"); e.Code != api.CodeUsage || !strings.Contains(e.Message, "would shorten it") {
		t.Errorf("shorten: %+v", e)
	}
	longer := brokertest.JSON[api.Session](s.Broker, "extend", v.ID, "--ttl", "15s")
	if gain := longer.Expires.Sub(v.Expires); gain < 5*time.Second {
		t.Errorf("extended by %v", gain)
	}
	if shown := s.Show(v.ID); !shown.Expires.Equal(longer.Expires) {
		t.Errorf("show says %v, extend said %v", shown.Expires, longer.Expires)
	}
	time.Sleep(time.Until(v.Expires) + 2*time.Second) // nothing is to happen then
	if now := s.Show(v.ID); now.Phase != api.PhaseReady || !running(*now.PID) {
		t.Errorf("at its old end: %+v", now)
	}
	s.Await(v.ID, "the new time limit is reached", func(v api.Session) bool { return v.Phase == api.PhaseExpired })
	if early := time.Until(longer.Expires); early > 0 {
		t.Errorf("ended %v before its new end", early)
	}
	gone(t, v)
	if e := s.Fails(1, "extend", v.ID, "--ttl", "1h"); e.Code != api.CodeEnded || e.Hint == "" {
		t.Errorf("extend what has ended: %+v", e)
	}
	if e := s.Fails(3, "extend", "zzzzzz", "--ttl", "1h"); e.Code != api.CodeUnknownSession {
		t.Errorf("extend what is not known: %+v", e)
	}
}
