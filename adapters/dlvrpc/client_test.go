package dlvrpc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// talk gives a Client whose server answers each request line with what reply returns.
func talk(t *testing.T, reply func(method string, id uint64) string) *Client {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(far)
		for lines.Scan() {
			var r struct {
				Method string
				ID     uint64
			}
			if json.Unmarshal(lines.Bytes(), &r) != nil {
				return
			}
			text := reply(r.Method, r.ID)
			if text == "" {
				continue // a pipe waits even for a reader of nothing
			}
			if _, err := io.WriteString(far, text); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = near.Close(); _ = far.Close(); <-done })
	return New(near)
}

func TestStateOfAnEndedProgram(t *testing.T) {
	for text, want := range map[string]State{
		"Process 12 has exited with status 3":  {PID: 12, Exited: true, ExitStatus: 3},
		"Process 12 has exited with status -9": {PID: 12, Exited: true, ExitStatus: -9},
	} {
		c := talk(t, func(_ string, id uint64) string { return fmt.Sprintf(`{"id":%d,"result":null,"error":%q}`, id, text) })
		if got, err := c.State(t.Context(), false); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	c := talk(t, func(_ string, id uint64) string { return fmt.Sprintf(`{"id":%d,"error":"something else"}`, id) })
	var refused *ServerError
	if _, err := c.State(t.Context(), false); !errors.As(err, &refused) || refused.Text != "something else" {
		t.Errorf("another error: %v", err)
	}
	c = talk(t, func(_ string, id uint64) string {
		return fmt.Sprintf(`{"id":%d,"error":%q}`, id, strings.Repeat("x", 1<<20))
	})
	if _, err := c.State(t.Context(), false); !errors.As(err, &refused) || len(refused.Text) > maxErrorText {
		t.Errorf("an error without end: %d bytes", len(refused.Text))
	}
}

func TestAnswersNobodyWaitsForAreSkipped(t *testing.T) {
	c := talk(t, func(method string, id uint64) string {
		if method == "RPCServer.Command" {
			return ""
		}
		return fmt.Sprintf(`{"id":%d,"result":{"State":{"Pid":1}}}{"id":%d,"result":{"State":{"Pid":2,"Running":true}}}`, id-1, id)
	})
	if err := c.Continue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := c.State(t.Context(), false); err != nil || s.PID != 2 || !s.Running {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAnAnswerIsBounded(t *testing.T) {
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1000)
		_, _ = far.Read(buf)
		chunk := bytes.Repeat([]byte(" "), 1<<20)
		for {
			if _, err := far.Write(chunk); err != nil {
				return
			}
		}
	}()
	c := New(near)
	if _, err := c.State(t.Context(), false); !errors.Is(err, ErrTooLong) {
		t.Errorf("%v", err)
	}
	_ = c.Close()
	_ = far.Close()
	<-done
}

func TestACallEndsWithItsContext(t *testing.T) {
	c := talk(t, func(string, uint64) string { return "" })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.State(ctx, true); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if _, err := c.State(t.Context(), false); err == nil {
		t.Error("the connection is closed, and yet answers")
	}
}

// quietConn answers with what it holds, whatever is asked.
type quietConn struct{ *strings.Reader }

func (quietConn) Write(p []byte) (int, error) { return len(p), nil }
func (quietConn) Close() error                { return nil }

func FuzzAnswer(f *testing.F) {
	f.Add(`{"id":1,"result":{"State":{"Pid":3}}}`)
	f.Add(`{"id":1,"error":"Process 99999999999999999999 has exited with status 1"}`)
	f.Add(`{"id":1,"error":{"a":1}} {`)
	f.Fuzz(func(t *testing.T, answer string) {
		c := New(quietConn{strings.NewReader(answer)})
		s, err := c.State(t.Context(), false)
		if err != nil && s.Exited {
			t.Errorf("%+v with %v", s, err)
		}
		_, _ = c.Breakpoints(t.Context())
	})
}
