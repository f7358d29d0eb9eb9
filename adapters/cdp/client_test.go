package cdp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inspector serves handler's HTTP and gives connections to it.
func inspector(t *testing.T, handler http.HandlerFunc) func() net.Conn {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return func() net.Conn {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
}

// answering accepts a websocket at /id and answers each message with texts.
func answering(texts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/id" || !strings.HasPrefix(r.Host, "127.0.0.1") {
			http.NotFound(w, r)
			return
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		for {
			if _, _, err := ws.Read(r.Context()); err != nil {
				return
			}
			for _, text := range texts {
				if ws.Write(r.Context(), websocket.MessageText, []byte(text)) != nil {
					return
				}
			}
		}
	}
}

func TestCallSkipsEvents(t *testing.T) {
	dial := inspector(t, answering(`{"method":"Debugger.paused","params":{}}`, `{"id":77,"result":{}}`, `{"id":1,"result":{"x":5}}`))
	c, err := New(t.Context(), dial(), "/id")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var result struct{ X int }
	if err := c.Call(t.Context(), "Some.thing", map[string]int{"a": 1}, &result); err != nil || result.X != 5 {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestCallIsRefused(t *testing.T) {
	dial := inspector(t, answering(`{"id":1,"error":{"code":-32601,"message":"not found"}}`))
	c, err := New(t.Context(), dial(), "/id")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var refused *Error
	if err := c.Call(t.Context(), "No.such", nil, nil); !errors.As(err, &refused) || refused.Code != -32601 || refused.Method != "No.such" {
		t.Errorf("%v", err)
	}
	c, err = New(t.Context(), inspector(t, answering(`{"id":1,"error":{"message":"`+strings.Repeat("x", 1<<20)+`"}}`))(), "/id")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Call(t.Context(), "No.such", nil, nil); !errors.As(err, &refused) || len(refused.Text) > maxErrorText {
		t.Errorf("an error without end: %d bytes", len(refused.Text))
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	dial := inspector(t, answering())
	c, err := New(t.Context(), dial(), "/id")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Call(ctx, "A.b", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestAWrongPathIsAnError(t *testing.T) {
	dial := inspector(t, answering())
	if _, err := New(t.Context(), dial(), "/other"); err == nil {
		t.Error("no error")
	}
}

func TestList(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
		err    error
	}{
		"one":       {200, `[{"id":"a","title":"x.js","webSocketDebuggerUrl":"ws://127.0.0.1:1/a-b"}]`, "/a-b", nil},
		"taken":     {200, `[{"id":"a"}]`, "", nil},
		"none":      {200, `[]`, "", nil},
		"hidden":    {404, ``, "", ErrHidden},
		"two":       {200, `[{"webSocketDebuggerUrl":"ws://h/one"},{"webSocketDebuggerUrl":"ws://h/two"}]`, "/one", nil},
		"no JSON":   {200, `<html>`, "", io.EOF},
		"something": {500, ``, "", io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			dial := inspector(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			paths, err := List(t.Context(), dial())
			if (err != nil) != (c.err != nil) || errors.Is(c.err, ErrHidden) && !errors.Is(err, ErrHidden) {
				t.Fatalf("%v", err)
			}
			got := ""
			if len(paths) > 0 {
				got = paths[0]
			}
			if got != c.want {
				t.Errorf("path %q, want %q", got, c.want)
			}
		})
	}
}
