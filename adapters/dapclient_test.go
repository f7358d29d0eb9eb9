package adapters

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-dap"
)

// dapClient is a front end: go-dap frames, plain JSON inside, since go-dap refuses debugpy's own events.
type dapClient struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	seq  int
	// stash holds what came while something else was awaited.
	stash []dapMessage
	once  sync.Once
}

type dapMessage struct {
	Type       string          `json:"type"`
	Command    string          `json:"command"`
	Event      string          `json:"event"`
	RequestSeq int             `json:"request_seq"`
	Success    bool            `json:"success"`
	Message    string          `json:"message"`
	Body       json.RawMessage `json:"body"`
}

const dapPatience = 20 * time.Second

func dialDAP(t testing.TB, addr string) *dapClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &dapClient{t: t, conn: conn, in: bufio.NewReader(conn)}
	t.Cleanup(c.drop)
	return c
}

// drop closes the connection without a word.
func (c *dapClient) drop() { c.once.Do(func() { _ = c.conn.Close() }) }

// send sends a request and returns its seq.
func (c *dapClient) send(command string, arguments any) int {
	c.t.Helper()
	c.seq++
	data, err := json.Marshal(map[string]any{"seq": c.seq, "type": "request", "command": command, "arguments": arguments})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := dap.WriteBaseMessage(c.conn, data); err != nil {
		c.t.Fatalf("send %s: %v", command, err)
	}
	return c.seq
}

// take returns the first message, old or new, that is wanted.
func (c *dapClient) take(what string, wanted func(dapMessage) bool) dapMessage {
	c.t.Helper()
	for i, m := range c.stash {
		if wanted(m) {
			c.stash = append(c.stash[:i:i], c.stash[i+1:]...)
			return m
		}
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(dapPatience))
	for {
		data, err := dap.ReadBaseMessage(c.in)
		if err != nil {
			c.t.Fatalf("await %s: %v; had %s", what, err, c.had())
		}
		var m dapMessage
		if err := json.Unmarshal(data, &m); err != nil {
			c.t.Fatalf("await %s: %v", what, err)
		}
		if wanted(m) {
			return m
		}
		c.stash = append(c.stash, m)
	}
}

func (c *dapClient) had() string {
	s := ""
	for _, m := range c.stash {
		s += fmt.Sprintf("\n\t%s %s%s %s %s", m.Type, m.Command, m.Event, m.Message, m.Body)
	}
	return s
}

func (c *dapClient) event(name string) dapMessage {
	c.t.Helper()
	return c.take(name, func(m dapMessage) bool { return m.Type == "event" && m.Event == name })
}

func (c *dapClient) answer(seq int, into any) {
	c.t.Helper()
	m := c.take(fmt.Sprintf("answer to %d", seq), func(m dapMessage) bool { return m.Type == "response" && m.RequestSeq == seq })
	if !m.Success {
		c.t.Fatalf("%s: %s", m.Command, m.Message)
	}
	if into != nil {
		if err := json.Unmarshal(m.Body, into); err != nil {
			c.t.Fatalf("%s: %v", m.Command, err)
		}
	}
}

// ask sends a request and awaits its answer.
func (c *dapClient) ask(command string, arguments, into any) {
	c.t.Helper()
	c.answer(c.send(command, arguments), into)
}

type dict = map[string]any

// attach goes through the whole handshake, with a breakpoint at each line of file, and leaves the program running.
func (c *dapClient) attach(extra dict, file string, lines ...int) {
	c.t.Helper()
	start := c.begin(extra)
	c.breakpoints(file, lines...)
	c.ask("configurationDone", dict{}, nil)
	c.answer(start, nil)
}

// begin goes as far as the initialized event, and returns the attach request's seq.
func (c *dapClient) begin(extra dict) int {
	c.t.Helper()
	c.ask("initialize", dict{"clientID": "test", "adapterID": "python", "pathFormat": "path", "linesStartAt1": true, "columnsStartAt1": true}, nil)
	arguments := dict{"justMyCode": true}
	for k, v := range extra {
		arguments[k] = v
	}
	start := c.send("attach", arguments)
	c.event("initialized")
	return start
}

func (c *dapClient) breakpoints(file string, lines ...int) {
	c.t.Helper()
	points := []dict{}
	for _, line := range lines {
		points = append(points, dict{"line": line})
	}
	c.ask("setBreakpoints", dict{"source": dict{"path": file}, "breakpoints": points}, nil)
}

// stop is where the program stopped.
type stop struct {
	thread int
	frames []dap.StackFrame
	locals map[string]string
}

// stopped awaits a stop and asks what a front end asks then, one after the other.
func (c *dapClient) stopped() stop {
	c.t.Helper()
	var s stop
	var event dap.StoppedEventBody
	if err := json.Unmarshal(c.event("stopped").Body, &event); err != nil {
		c.t.Fatal(err)
	}
	s.thread = event.ThreadId
	c.ask("threads", nil, nil)
	var stack dap.StackTraceResponseBody
	c.ask("stackTrace", dict{"threadId": s.thread}, &stack)
	s.frames = stack.StackFrames
	var scopes dap.ScopesResponseBody
	c.ask("scopes", dict{"frameId": s.frames[0].Id}, &scopes)
	var variables dap.VariablesResponseBody
	c.ask("variables", dict{"variablesReference": scopes.Scopes[0].VariablesReference}, &variables)
	s.locals = map[string]string{}
	for _, v := range variables.Variables {
		s.locals[v.Name] = v.Value
	}
	return s
}

// next steps over a line and looks around.
func (c *dapClient) next(thread int) stop {
	c.t.Helper()
	c.send("next", dict{"threadId": thread})
	return c.stopped()
}
