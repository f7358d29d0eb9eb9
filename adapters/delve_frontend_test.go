package adapters

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/google/go-dap"
)

// delveFrontEnd is a front end.
type delveFrontEnd struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	seq  int
	// stops and the like that came while an answer was awaited
	kept []dap.Message
}

func newDelveFrontEnd(t *testing.T, s *server) *delveFrontEnd {
	t.Helper()
	conn, err := s.dial(t.Context())
	must(t, "dial", err)
	t.Cleanup(func() { _ = conn.Close() })
	return &delveFrontEnd{t: t, conn: conn, in: bufio.NewReader(conn)}
}

func (c *delveFrontEnd) request(command string) dap.Request {
	c.seq++
	return dap.Request{ProtocolMessage: dap.ProtocolMessage{Seq: c.seq, Type: "request"}, Command: command}
}

func (c *delveFrontEnd) send(m dap.Message) {
	c.t.Helper()
	must(c.t, "send", dap.WriteProtocolMessage(c.conn, m))
}

func (c *delveFrontEnd) read() (dap.Message, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(limit))
	return dap.ReadProtocolMessage(c.in)
}

// expect waits for a message of type M; what comes before it is kept.
func expect[M dap.Message](c *delveFrontEnd) M {
	c.t.Helper()
	for i, m := range c.kept {
		if want, ok := m.(M); ok {
			c.kept = append(c.kept[:i:i], c.kept[i+1:]...)
			return want
		}
	}
	for {
		m, err := c.read()
		must(c.t, "read", err)
		if want, ok := m.(M); ok {
			return want
		}
		if e, ok := m.(*dap.ErrorResponse); ok {
			c.t.Fatalf("%s: %s", e.Command, describe(e))
		}
		c.kept = append(c.kept, m)
	}
}

func describe(e *dap.ErrorResponse) string {
	if e.Body.Error != nil {
		return e.Body.Error.Format
	}
	return e.Message
}

// attach joins the program with one breakpoint (none at line 0) and lets it run.
func (c *delveFrontEnd) attach(file string, line int) {
	c.t.Helper()
	c.begin()
	if line > 0 {
		c.send(&dap.SetBreakpointsRequest{Request: c.request("setBreakpoints"), Arguments: dap.SetBreakpointsArguments{
			Source: dap.Source{Path: file}, Breakpoints: []dap.SourceBreakpoint{{Line: line}},
		}})
		got := expect[*dap.SetBreakpointsResponse](c)
		if len(got.Body.Breakpoints) != 1 || !got.Body.Breakpoints[0].Verified {
			c.t.Fatalf("breakpoint: %+v", got.Body)
		}
	}
	c.send(&dap.ConfigurationDoneRequest{Request: c.request("configurationDone")})
	expect[*dap.ConfigurationDoneResponse](c)
}

func (c *delveFrontEnd) begin() {
	c.t.Helper()
	c.send(&dap.InitializeRequest{Request: c.request("initialize"), Arguments: dap.InitializeRequestArguments{AdapterID: "go", PathFormat: "path", LinesStartAt1: true, ColumnsStartAt1: true}})
	expect[*dap.InitializeResponse](c)
	c.send(&dap.AttachRequest{Request: c.request("attach"), Arguments: []byte(`{"mode":"remote","stopOnEntry":false}`)})
	expect[*dap.InitializedEvent](c)
}

// look asks what a front end asks after a stop and returns a local variable's value.
func (c *delveFrontEnd) look(stop *dap.StoppedEvent, name string) string {
	c.t.Helper()
	c.send(&dap.ThreadsRequest{Request: c.request("threads")})
	expect[*dap.ThreadsResponse](c)
	c.send(&dap.StackTraceRequest{Request: c.request("stackTrace"), Arguments: dap.StackTraceArguments{ThreadId: stop.Body.ThreadId, Levels: 20}})
	frames := expect[*dap.StackTraceResponse](c).Body.StackFrames
	c.send(&dap.ScopesRequest{Request: c.request("scopes"), Arguments: dap.ScopesArguments{FrameId: frames[0].Id}})
	scopes := expect[*dap.ScopesResponse](c).Body.Scopes
	c.send(&dap.VariablesRequest{Request: c.request("variables"), Arguments: dap.VariablesArguments{VariablesReference: scopes[0].VariablesReference}})
	for _, v := range expect[*dap.VariablesResponse](c).Body.Variables {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

func (c *delveFrontEnd) next(stop *dap.StoppedEvent) *dap.StoppedEvent {
	c.t.Helper()
	c.send(&dap.NextRequest{Request: c.request("next"), Arguments: dap.NextArguments{ThreadId: stop.Body.ThreadId}})
	return expect[*dap.StoppedEvent](c)
}

// leave disconnects, as "stop" in a front end does for an attached program, and waits until the server has closed.
func (c *delveFrontEnd) leave() {
	c.t.Helper()
	c.send(&dap.DisconnectRequest{Request: c.request("disconnect"), Arguments: &dap.DisconnectArguments{}})
	for {
		if _, err := c.read(); err != nil {
			_ = c.conn.Close()
			return
		}
	}
}

// silence says what came within a time, for servers that must not answer.
func (c *delveFrontEnd) within(d time.Duration) (dap.Message, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(d))
	m, err := dap.ReadProtocolMessage(c.in)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return nil, fmt.Errorf("nothing in %v", d)
	}
	return m, err
}
