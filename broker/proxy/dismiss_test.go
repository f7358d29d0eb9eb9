package proxy

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/adapters/dap"
)

// answersAll is a DAP server that answers every request, and nothing else.
func answersAll(c net.Conn) {
	r := dap.NewReader(bufio.NewReader(c), dap.MaxBody)
	for {
		m, err := r.Next()
		if err != nil {
			return
		}
		env, _ := dap.Scan(m.Body())
		answer := fmt.Sprintf(`{"seq":%d,"type":"response","request_seq":%d,"command":%q,"success":true}`, env.Seq, env.Seq, env.Command)
		if _, err := io.WriteString(c, frame(answer)); err != nil {
			return
		}
	}
}

// dismissed calls Dismiss and checks that it is over in time.
func (r *rig) dismissed(t *testing.T, reason string, limit time.Duration) {
	t.Helper()
	began := time.Now()
	r.Dismiss(context.Background(), reason)
	if took := time.Since(began); took > limit {
		t.Errorf("Dismiss took %v, more than %v", took, limit)
	}
}

func output(t *testing.T, o object) string {
	t.Helper()
	body, _ := o["body"].(object)
	text, _ := body["output"].(string)
	if body["category"] != "console" || !strings.HasSuffix(text, "\n") {
		t.Errorf("output event: %v", o)
	}
	return text
}

// A front end is told why, then that its session is over; it takes its leave from the server as ever, and Dismiss sees it go.
func TestDismissEndsTheFrontEndsSession(t *testing.T) {
	r := start(t, Config{Protocol: "dap", Dial: server(t, answersAll)})
	f := r.front(t)
	f.request("initialize", object{"adapterID": "x"})
	told := make(chan struct{})
	go func() {
		defer close(told)
		r.dismissed(t, "time is {up}", leaveTime)
	}()
	if text := output(t, f.event("output")); text != "time is {up}\n" {
		t.Errorf("told %q", text)
	}
	f.event("terminated")
	if got := f.request("disconnect", object{}); got["success"] != true {
		t.Errorf("disconnect: %v", got)
	}
	f.Close()
	<-told
	ended(t, r.connect(t))
	r.awaitEvent(t, "refused: "+errDismissed.Error())
	r.awaitEvent(t, "detached: "+endFront)
}

// Who stays all the same is waited for, for a moment, and is told once.
func TestDismissDoesNotWaitLong(t *testing.T) {
	r := start(t, Config{Protocol: "dap", Dial: server(t, answersAll)})
	f := r.front(t)
	f.request("initialize", object{"adapterID": "x"})
	r.dismissed(t, "first", leaveTime+dismissTime/2)
	r.dismissed(t, "second", dismissTime/2)
	f.event("terminated")
	f.request("threads", nil)
	for _, o := range f.kept {
		if body, _ := o["body"].(object); body["output"] == "second\n" || o["event"] == "terminated" {
			t.Errorf("told twice: %v", o)
		}
	}
}

// Before the server has answered initialize no event may come, and after its own terminated none is due.
func TestDismissKnowsWhenToBeSilent(t *testing.T) {
	mute := make(chan struct{})
	r := start(t, Config{Protocol: "dap", Dial: server(t, func(c net.Conn) { <-mute })})
	f := r.front(t)
	f.send("initialize", object{"adapterID": "x"})
	r.awaitClients(t, 1)
	r.Tell("too early")
	r.dismissed(t, "too early", dismissTime/2)
	close(mute)
	if m, err := f.r.Next(); err == nil {
		t.Errorf("said before the answer to initialize: %s", m.Body())
	}

	r = start(t, Config{Protocol: "dap", Dial: server(t, func(c net.Conn) {
		_, _ = io.WriteString(c, frame(`{"seq":1,"type":"response","request_seq":1,"command":"initialize","success":true}`)+frame(`{"seq":2,"type":"event","event":"terminated"}`))
		_, _ = io.Copy(io.Discard, c)
	})})
	f = r.front(t)
	f.request("initialize", object{"adapterID": "x"})
	f.event("terminated")
	r.Tell("too late")
	r.dismissed(t, "too late", dismissTime/2)
	_ = f.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if m, err := f.r.Next(); err == nil {
		t.Errorf("said after the server's terminated: %s", m.Body())
	}
}

// A front end that reads nothing holds nobody up, and what it reads later is nothing but whole messages of the server.
func TestDismissOfAStuckFrontEnd(t *testing.T) {
	event := frame(`{"seq":2,"type":"event","event":"output","body":{"output":"` + strings.Repeat("x", 1<<20) + `"}}`)
	r := start(t, Config{Protocol: "dap", Dial: server(t, func(c net.Conn) {
		_, _ = io.WriteString(c, frame(`{"seq":1,"type":"response","request_seq":1,"command":"initialize","success":true}`))
		for range 64 {
			if _, err := io.WriteString(c, event); err != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, c)
	})})
	stuck := r.front(t)
	stuck.request("initialize", object{"adapterID": "x"})
	stuck.event("output")
	time.Sleep(50 * time.Millisecond) // until its socket is full
	good := r.front(t)
	good.request("initialize", object{"adapterID": "x"})
	go func() { _, _ = io.Copy(io.Discard, good) }()
	r.Tell("a warning")
	r.dismissed(t, "the end", dismissTime+leaveTime+time.Second)
	for {
		m, err := stuck.r.Next()
		if err != nil {
			t.Fatalf("the connection broke off before the whole flood had come: %v", err)
		}
		var o struct {
			Event string
			Body  struct{ Output string }
		}
		if err := json.Unmarshal(m.Body(), &o); err != nil {
			t.Fatalf("a message that is none: %v", err)
		}
		if o.Event == "terminated" || o.Body.Output == "the end\n" {
			t.Fatal("told although it was stuck") // the wait for its turn was over long before
		}
		if o.Body.Output == "a warning\n" {
			return // its turn came once the front end read again: Tell's wait is longer
		}
	}
}

// What the broker says never stands inside a message of the server, however that comes.
func TestTellBetweenMessages(t *testing.T) {
	const messages = 3000
	r := start(t, Config{Protocol: "dap", Dial: server(t, func(c net.Conn) {
		_, _ = io.WriteString(c, frame(`{"seq":1,"type":"response","request_seq":1,"command":"initialize","success":true}`))
		var stream strings.Builder
		for i := range messages {
			stream.WriteString(frame(fmt.Sprintf(`{"seq":%d,"type":"event","event":"server","body":{"n":%d,"pad":%q}}`, i+2, i, strings.Repeat("p", i*7%5000))))
		}
		for rest := stream.String(); len(rest) > 0; {
			n := min(len(rest), 1+len(rest)*7%4099)
			if _, err := io.WriteString(c, rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
		_, _ = io.Copy(io.Discard, c)
	})})
	f := r.front(t)
	f.request("initialize", object{"adapterID": "x"})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				r.Tell(fmt.Sprint("told ", i))
				time.Sleep(time.Millisecond)
			}
		}
	}()
	told := 0
	for n := 0; n < messages; {
		o := f.next("a message", func(object) bool { return true })
		switch o["event"] {
		case "output":
			output(t, o)
			told++
		case "server":
			if got := o["body"].(object)["n"]; got != float64(n) {
				t.Fatalf("message %v came, want %d", got, n)
			}
			n++
		}
	}
	close(stop)
	<-stopped
	if told == 0 {
		t.Error("nothing was told among them")
	}
}

// JDWP has no words: its debuggers are not waited for.
func TestDismissOfJDWP(t *testing.T) {
	r := start(t, Config{Protocol: "jdwp", OneClient: true, Dial: server(t, echo)})
	c := r.connect(t)
	if _, err := io.WriteString(c, jdwpHandshake); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, len(jdwpHandshake))); err != nil {
		t.Fatal(err)
	}
	r.Tell("a warning")
	r.dismissed(t, "the end", leaveTime/2)
}
