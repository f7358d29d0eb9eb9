package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/debugbroker/debugbroker/adapters/dap"
)

func TestHostileFirstBytesReachNobody(t *testing.T) {
	tests := []struct{ name, send, event string }{
		{"port scan", "", ""},
		{"POST with a DAP body", "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.com\r\nContent-Length: 200\r\n\r\n" + frame(initialize), "refused: a browser"},
		{"GET", "GET / HTTP/1.1\r\n\r\n", "refused: a browser"},
		{"CONNECT", "CONNECT evil.com:443 HTTP/1.1\r\n\r\n", "refused: a browser"},
		{"garbage", "\x00\x01\x02\x03", "refused: not a DAP message"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "refused: not a DAP message"},
		{"RPC where there is none", `{"method":"RPCServer.State","params":[],"id":1}`, "refused: not a DAP message"},
		{"10 GB", "Content-Length: 10000000000\r\n\r\n", "refused: DAP message too large"},
		{"2 MB at first", "Content-Length: 2000000\r\n\r\n", "refused: DAP message too large"},
		{"no JSON", frame("hello"), "refused: the first message"},
		{"a response", frame(`{"seq":1,"type":"response","command":"initialize"}`), "refused: the first message"},
		{"an array", frame(`[]`), "refused: the first message"},
		{"half a message", "Content-Length: 100\r\n\r\n{", "refused: unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, Config{Protocol: "dap", Dial: server(t, echo)})
			c := r.connect(t)
			if _, err := io.WriteString(c, tt.send); err != nil {
				t.Fatal(err)
			}
			_ = c.(*net.TCPConn).CloseWrite()
			ended(t, c)
			if tt.event != "" {
				r.awaitEvent(t, tt.event)
			}
			if n := r.dialled(); n != 0 {
				t.Fatalf("the debug server was dialled %d times", n)
			}
		})
	}
}

func TestAnotherUserIsClosedBeforeAByteIsRead(t *testing.T) {
	r := start(t, Config{Protocol: "dap", Dial: server(t, echo), SameUser: func(net.Conn) error { return errors.New("uid 65534") }})
	ended(t, r.connect(t))
	r.awaitEvent(t, "refused: uid 65534")
	if n := r.dialled(); n != 0 {
		t.Fatalf("the debug server was dialled %d times", n)
	}
}

// awkward messages that no re-encoding would survive.
var awkward = []string{
	frame(initialize),
	"content-length: 84\r\nX-Unknown: 1\r\n\r\n" + `{ "type":"request","zz":{"b":false,"n":0,"l":[],"e":1e400,"u":"\u0000\ud800"},"s":1}` + "",
	frame(`{"seq":2,"type":"custom","command":"x","dup":1,"dup":2}`),
	frame("{}"),
	frame(`{"seq":3,"type":"event","event":"x","body":{"port":1,"host":"a","subProcessId":7}}`), // not debugpy's
	frame(`{"long":"` + strings.Repeat("é", 100000) + `"}`),
}

func TestMessagesPassByteForByte(t *testing.T) {
	r := start(t, Config{Protocol: "dap", Dial: server(t, echo)})
	c := r.connect(t)
	sent := strings.Join(awkward, "")
	go func() { _, _ = io.WriteString(c, sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != sent {
		t.Fatalf("got %.300q, want %.300q", got, sent)
	}
}

// What a server sends that is no JSON is for the front end to judge.
func TestServerBytesPass(t *testing.T) {
	said := frame("not json") + frame("") + frame(`["a"]`)
	r := start(t, Config{Protocol: "dap", Dial: server(t, func(c net.Conn) {
		_, _ = io.WriteString(c, said)
	})})
	c := r.connect(t)
	_, _ = io.WriteString(c, frame(initialize))
	if got, err := io.ReadAll(c); err != nil || string(got) != said {
		t.Fatalf("got %q, %v, want %q", got, err, said)
	}
	c.Close()
	r.awaitEvent(t, "detached: "+endServer)
}

func TestFrontEndGarbageLaterEndsTheConnection(t *testing.T) {
	for _, bad := range []string{frame("not json"), "HTTP\r\n\r\n", "Content-Length: 10000000000\r\n\r\n"} {
		var got bytes.Buffer
		done := make(chan struct{})
		r := start(t, Config{Protocol: "dap", Dial: server(t, func(c net.Conn) {
			defer close(done)
			_, _ = io.Copy(&got, c)
		})})
		c := r.connect(t)
		_, _ = io.WriteString(c, frame(initialize)+bad)
		ended(t, c)
		r.awaitEvent(t, "detached: refused")
		<-done
		if got.String() != frame(initialize) {
			t.Errorf("the server got %q", got.String())
		}
	}
}

// recorder keeps the size of each write.
type recorder struct {
	net.Conn
	mu     sync.Mutex
	writes []string
}

func (c *recorder) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.writes = append(c.writes, string(b))
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// recordingListener wraps what it accepts.
type recordingListener struct {
	net.Listener
	accepted chan *recorder
}

func (l recordingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r := &recorder{Conn: c}
	l.accepted <- r
	return r, nil
}

func TestOneWriteAMessage(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	near := recordingListener{ln, make(chan *recorder, 1)}
	far := make(chan *recorder, 1)
	dial := server(t, echo)
	r := start(t, Config{Listener: near, Protocol: "dap", Dial: func(ctx context.Context) (net.Conn, error) {
		c, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		rec := &recorder{Conn: c}
		far <- rec
		return rec, nil
	}})
	c := r.connect(t)
	messages := []string{frame(initialize), frame(`{"a":"` + strings.Repeat("x", 300000) + `"}`), frame(`{}`)}
	for _, m := range messages {
		for part := range strings.SplitSeq(m, "\r\n\r\n") { // as a server that writes header and body apart
			if strings.HasPrefix(part, "Content") {
				part += "\r\n\r\n"
			}
			_, _ = io.WriteString(c, part)
		}
	}
	if _, err := io.ReadFull(c, make([]byte, len(strings.Join(messages, "")))); err != nil {
		t.Fatal(err)
	}
	for name, rec := range map[string]*recorder{"server": <-far, "front end": <-near.accepted} {
		rec.mu.Lock()
		if fmt.Sprint(rec.writes) != fmt.Sprint(messages) {
			t.Errorf("to the %s: %d writes for %d messages", name, len(rec.writes), len(messages))
		}
		rec.mu.Unlock()
	}
}

func TestLargeMessage(t *testing.T) {
	r := start(t, Config{Protocol: "dap", Dial: server(t, echo)})
	c := r.connect(t)
	body := `{"x":"` + strings.Repeat("0123456789abcdef", 4<<20) + `"}` // 64 MiB
	go func() { _, _ = io.WriteString(c, frame(initialize)+frame(body)) }()
	rd := dap.NewReader(c, dap.MaxBody)
	for _, want := range []string{initialize, body} {
		m, err := rd.Next()
		if err != nil {
			t.Fatal(err)
		}
		if string(m.Body()) != want {
			t.Fatalf("%d bytes differ", len(want))
		}
	}
}

func TestDialErrorIsShown(t *testing.T) {
	r := start(t, Config{Protocol: "dap", Dial: func(context.Context) (net.Conn, error) { return nil, errors.New("connection refused there") }})
	f := r.front(t)
	refused(t, f.request("initialize", nil), "connection refused there")
	ended(t, f)
	r.awaitEvent(t, "refused: reach debug server: connection refused there")
}

func TestManyFrontEnds(t *testing.T) {
	r := start(t, Config{Protocol: "dap", Dial: server(t, echo)})
	const n = 40
	var wg sync.WaitGroup
	for range n {
		c := r.connect(t)
		wg.Go(func() {
			for i := range 20 {
				m := frame(fmt.Sprintf(`{"seq":%d,"type":"request","command":"x"}`, i))
				_, _ = io.WriteString(c, m)
				got := make([]byte, len(m))
				if _, err := io.ReadFull(c, got); err != nil || string(got) != m {
					t.Errorf("got %q, %v, want %q", got, err, m)
					return
				}
			}
		})
	}
	wg.Wait()
	r.awaitClients(t, n)
}

func TestJSONRPCOnTheSamePort(t *testing.T) {
	r := start(t, Config{Protocol: "dap", RPC: true, Dial: server(t, echo)})
	c, d := r.connect(t), r.connect(t)
	rpc := ` {"method":"RPCServer.State","params":[{"NonBlocking":true}],"id":0}` + "\n"
	rpc = "{" + rpc[2:]
	for conn, m := range map[net.Conn]string{c: rpc, d: frame(initialize)} {
		_, _ = io.WriteString(conn, m)
		got := make([]byte, len(m))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != m {
			t.Fatalf("got %q, %v, want %q", got, err, m)
		}
	}
	r.awaitClients(t, 2)
	for _, bad := range []string{"{garbage", "{" + strings.Repeat(" ", 100)} {
		e := r.connect(t)
		_, _ = io.WriteString(e, bad)
		ended(t, e)
	}
	r.awaitEvent(t, "refused: neither DAP nor JSON-RPC")
	if n := r.dialled(); n != 2 {
		t.Fatalf("dialled %d times, want 2", n)
	}
}
