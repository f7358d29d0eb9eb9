package proxy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/adapters/dap"
	"github.com/debugbroker/debugbroker/integration/answering"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second // for what must happen, on a busy machine

// rig is a running Proxy and what it told.
type rig struct {
	*Proxy
	addr string

	mu      sync.Mutex
	dials   int
	told    []string // "kind: text"
	clients []int
	changed chan struct{}
}

// start runs a Proxy until the test ends. cfg.Listener, SameUser, OnEvent and OnClients are filled in where they are missing.
func start(t testing.TB, cfg Config) *rig {
	t.Helper()
	r := &rig{changed: make(chan struct{}, 1)}
	if cfg.Listener == nil {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		cfg.Listener = ln
	}
	if cfg.SameUser == nil {
		cfg.SameUser = func(net.Conn) error { return nil }
	}
	dial := cfg.Dial
	cfg.Dial = func(ctx context.Context) (net.Conn, error) {
		r.note(func() { r.dials++ })
		return dial(ctx)
	}
	cfg.OnEvent = func(kind, text string) { r.note(func() { r.told = append(r.told, kind+": "+text) }) }
	cfg.OnClients = func(n int) { r.note(func() { r.clients = append(r.clients, n) }) }
	r.Proxy, r.addr = New(cfg), cfg.Listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

func (r *rig) note(f func()) {
	r.mu.Lock()
	f()
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// await waits until cond holds; cond is called with the rig locked.
func (r *rig) await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		r.mu.Lock()
		ok, told := cond(), slices.Clone(r.told)
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-r.changed:
		case <-timeout:
			t.Fatalf("no %s; told: %q", what, told)
		}
	}
}

func (r *rig) awaitEvent(t testing.TB, prefix string) {
	t.Helper()
	r.await(t, "event "+prefix, func() bool {
		return slices.ContainsFunc(r.told, func(s string) bool { return strings.HasPrefix(s, prefix) })
	})
}

func (r *rig) awaitClients(t testing.TB, n int) {
	t.Helper()
	r.await(t, fmt.Sprintf("%d clients", n), func() bool {
		return len(r.clients) > 0 && r.clients[len(r.clients)-1] == n
	})
}

func (r *rig) dialled() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dials
}

// connect opens a connection to the port that fails the test rather than hang.
func (r *rig) connect(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp4", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return c
}

// server is a debug server of the test's own: handle gets each connection in a goroutine.
func server(t testing.TB, handle func(net.Conn)) func(context.Context) (net.Conn, error) {
	t.Helper()
	return dialer(answering.Local(t, func(c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(patience))
		handle(c)
	}).Addr().String())
}

func dialer(addr string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

func frame(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }

const initialize = `{"seq":1,"type":"request","command":"initialize","arguments":{"adapterID":"x"}}`

// front is a DAP front end of the test's own.
type front struct {
	net.Conn
	t    testing.TB
	r    *dap.Reader
	seq  int
	kept []object
}

type object = map[string]any

func (r *rig) front(t testing.TB) *front {
	c := r.connect(t)
	return &front{Conn: c, t: t, r: dap.NewReader(bufio.NewReader(c), dap.MaxBody)}
}

func (f *front) send(command string, arguments any) (seq int) {
	f.t.Helper()
	f.seq++
	body, err := json.Marshal(object{"seq": f.seq, "type": "request", "command": command, "arguments": arguments})
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := io.WriteString(f, frame(string(body))); err != nil {
		f.t.Fatalf("send %s: %v", command, err)
	}
	return f.seq
}

// next returns the first message that fits, and keeps the others for later.
func (f *front) next(what string, fits func(object) bool) object {
	f.t.Helper()
	for i, m := range f.kept {
		if fits(m) {
			f.kept = slices.Delete(f.kept, i, i+1)
			return m
		}
	}
	for {
		m, err := f.r.Next()
		if err != nil {
			f.t.Fatalf("wait for %s: %v; came: %v", what, err, f.kept)
		}
		var o object
		if err := json.Unmarshal(m.Body(), &o); err != nil {
			f.t.Fatalf("wait for %s: %v", what, err)
		}
		if fits(o) {
			return o
		}
		f.kept = append(f.kept, o)
	}
}

func (f *front) event(name string) object {
	f.t.Helper()
	return f.next("event "+name, func(o object) bool { return o["event"] == name })
}

func (f *front) response(seq int) object {
	f.t.Helper()
	return f.next(fmt.Sprintf("response to %d", seq), func(o object) bool { return o["type"] == "response" && o["request_seq"] == float64(seq) })
}

func (f *front) request(command string, arguments any) object {
	f.t.Helper()
	return f.response(f.send(command, arguments))
}

// refused checks that a response is an error that a front end shows.
func refused(t testing.TB, o object, reason string) {
	t.Helper()
	body, _ := o["body"].(object)
	e, _ := body["error"].(object)
	format, _ := e["format"].(string)
	if o["success"] != false || e["showUser"] != true || !strings.Contains(format, reason) {
		t.Fatalf("got %v, want a refusal for %q", o, reason)
	}
}

// ended checks that the connection is closed by the other side.
func ended(t testing.TB, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection was not closed")
	}
}
