package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/debugbroker/debugbroker/integration/tools"
)

func TestInspectorRefusals(t *testing.T) {
	tests := []struct {
		name, request string
		status        int
	}{
		{"Host evil.com", "GET /json HTTP/1.1\r\nHost: evil.com\r\n\r\n", 403},
		{"Host with our port", "GET /json HTTP/1.1\r\nHost: evil.com:9229\r\n\r\n", 403},
		{"Host that begins like us", "GET /json HTTP/1.1\r\nHost: 127.0.0.1.evil.com\r\n\r\n", 403},
		{"localhost as a part", "GET /json HTTP/1.1\r\nHost: localhost.evil.com\r\n\r\n", 403},
		{"a LAN address", "GET /json HTTP/1.1\r\nHost: 192.168.0.2:1\r\n\r\n", 403},
		{"no Host", "GET /json HTTP/1.0\r\n\r\n", 403},
		{"two Hosts", "GET /json HTTP/1.1\r\nHost: localhost\r\nHost: evil.com\r\n\r\n", 400},
		{"absolute target", "GET http://evil.com/json HTTP/1.1\r\nHost: localhost\r\n\r\n", 403},
		{"web origin", "GET /json HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.com\r\n\r\n", 403},
		{"null origin", "GET /json HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n", 403},
		{"local origin", "GET /json HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:3000\r\n\r\n", 403},
		{"file origin", "GET /json HTTP/1.1\r\nHost: localhost\r\nOrigin: file://\r\n\r\n", 403},
		{"second origin", "GET /json HTTP/1.1\r\nHost: localhost\r\nOrigin: devtools://devtools\r\nOrigin: http://evil.com\r\n\r\n", 403},
		{"image tag", "GET /json HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n", 403},
		{"websocket of a page", "GET /secret HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 403},
		{"POST", "POST /json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405},
		{"PUT new", "PUT /json/new HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
		{"GET with a body", "GET /json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", 400},
		{"wrong path", "GET /secre HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 404},
		{"path and more", "GET /secret/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 404},
		{"no upgrade", "GET /secret HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
		{"root", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
		{"close by GET", "GET /json/close/secret HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
		{"long header", "GET /json HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", maxHTTP) + "\r\n\r\n", 400},
		{"many headers", "GET /json HTTP/1.1\r\n" + strings.Repeat("X: x\r\n", 10000) + "\r\n", 400},
		{"DAP", frame(initialize), 400},
		{"garbage", "\x00\x01\r\n\r\n", 400},
		{"half", "GET /json HTTP/1.1\r\nHost: lo", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, Config{Protocol: "cdp", WSPath: "secret", Dial: server(t, echo)})
			c := r.connect(t)
			go func() {
				_, _ = io.WriteString(c, tt.request)
				_ = c.(*net.TCPConn).CloseWrite()
			}()
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tt.status {
				t.Errorf("got %d, want %d", resp.StatusCode, tt.status)
			}
			if n := r.dialled(); n != 0 {
				t.Errorf("the debug server was dialled %d times", n)
			}
		})
	}
}

func TestLoopbackHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost:1": true, "127.0.0.1": true, "127.0.0.1:80": true, "127.9.9.9": true, "[::1]": true, "[::1]:9": true, "::1": true,
		"": false, ":80": false, "localhost.": false, "0.0.0.0": false, "127.1": false, "2130706433": false, "0x7f000001": false, "[::]": false, "127.0.0.1@evil.com": false,
	} {
		if got := loopbackHost(host); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
}

// The upgrade's bytes reach the server as they came, with what was sent right behind them.
func TestUpgradePassesByteForByte(t *testing.T) {
	r := start(t, Config{Protocol: "cdp", WSPath: "secret", Dial: server(t, echo)})
	c := r.connect(t)
	sent := "GET /secret HTTP/1.1\r\nhost:   LOCALHOST:1\r\nOrigin: devtools://devtools\r\nUpgrade: WebSocket\r\nx-odd:\tä\r\n\r\n\x81\x05hello"
	_, _ = io.WriteString(c, sent)
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != sent {
		t.Fatalf("got %q, %v, want %q", got, err, sent)
	}
	r.awaitClients(t, 1)
}

func TestInspectorServerUnreachable(t *testing.T) {
	r := start(t, Config{Protocol: "cdp", Dial: func(context.Context) (net.Conn, error) { return nil, errors.New("link lost") }})
	for _, extra := range []string{"", "Connection: Upgrade\r\nUpgrade: websocket\r\n"} {
		c := r.connect(t)
		_, _ = io.WriteString(c, "GET /json HTTP/1.1\r\nHost: localhost\r\n"+extra+"\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 502 || !bytes.Contains(body, []byte("link lost")) {
			t.Errorf("got %d %q, want 502 with the reason", resp.StatusCode, body)
		}
	}
}

func TestLocalizeKeepsWhatItDoesNotKnow(t *testing.T) {
	in := `[{"id":"a","zz":[false,0,1e400],"webSocketDebuggerUrl":"ws://10.0.0.1:9229/a","devtoolsFrontendUrl":"devtools://x?ws=10.0.0.1:9229/a"},{"id":"taken"}]`
	out, err := localize([]byte(in), "127.0.0.1:5")
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, out)
	want := `[{"devtoolsFrontendUrl":"devtools://x?ws=127.0.0.1:5/a","id":"a","webSocketDebuggerUrl":"ws://127.0.0.1:5/a","zz":[false,0,1e400]},{"id":"taken"}]`
	if compact.String() != want {
		t.Fatalf("got %s, want %s", compact.String(), want)
	}
	for _, bad := range []string{"", "{}", "null garbage", `[{"webSocketDebuggerUrl":"ws://%zz"}]`} {
		if _, err := localize([]byte(bad), "x"); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// node starts a program under the inspector and returns the address and websocket path that it announces.
func node(t *testing.T, flags ...string) (addr, path string) {
	t.Helper()
	exe := tools.Need(t, tools.Node)
	js := filepath.Join(t.TempDir(), "a.js")
	if err := os.WriteFile(js, []byte("let n = 41\nsetInterval(() => { n++ }, 1000)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := run(t, t.TempDir(), nil, append(append([]string{exe, "--inspect=127.0.0.1:0"}, flags...), js)...)
	announced := regexp.MustCompile(`ws://([^/\s]+)/(\S+)`)
	eventually(t, "announcement of node", func() bool {
		b, _ := os.ReadFile(out)
		m := announced.FindSubmatch(b)
		if m == nil || !bytes.Contains(b, []byte("inspector")) {
			return false
		}
		addr, path = string(m[1]), string(m[2])
		return true
	})
	return addr, path
}

func TestNode(t *testing.T) {
	tests := []struct {
		name   string
		flags  []string
		hidden bool
	}{
		{"its address is known to us only", []string{"--inspect-publish-uid=stderr"}, true},
		{"it publishes its address", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr, path := node(t, tt.flags...)
			cfg := Config{Protocol: "cdp", Title: `a.js on "web1"`, Dial: dialer(addr)}
			if tt.hidden {
				cfg.WSPath = path
			}
			r := start(t, cfg)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			get := func(page string) []byte {
				t.Helper()
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr+page, nil)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("%s: %s, %v", page, resp.Status, err)
				}
				return b
			}
			if v := get("/json/version"); !bytes.Contains(v, []byte(`"Browser"`)) {
				t.Errorf("/json/version: %s", v)
			}
			want := "ws://" + r.addr + "/" + path
			for _, page := range []string{"/json", "/json/", "/json/list"} {
				var list []target
				if err := json.Unmarshal(get(page), &list); err != nil || len(list) != 1 || list[0].WebSocketURL != want ||
					!strings.HasSuffix(list[0].FrontendURL, "ws="+r.addr+"/"+path) || list[0].Type != "node" {
					t.Errorf("%s: %+v, %v, want %s", page, list, err, want)
				}
			}
			r.mu.Lock()
			if len(r.clients) != 0 {
				t.Errorf("/json counts as a front end")
			}
			r.mu.Unlock()

			// Several front ends at once, and again after the last has gone.
			for range 2 {
				a, b := inspect(ctx, t, want), inspect(ctx, t, want)
				for i, ws := range []*websocket.Conn{a, b} {
					if got := evaluate(ctx, t, ws, "6*7"); got != "42" {
						t.Errorf("front end %d: got %s", i, got)
					}
				}
				r.awaitClients(t, 2)
				a.CloseNow()
				_ = b.Close(websocket.StatusNormalClosure, "")
				r.awaitClients(t, 0)
			}
			if _, _, err := websocket.Dial(ctx, "ws://"+r.addr+"/00000000-0000-0000-0000-000000000000", nil); err == nil {
				t.Error("a guessed path was let in")
			}
		})
	}
}

func inspect(ctx context.Context, t *testing.T, url string) *websocket.Conn {
	t.Helper()
	ws, resp, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body != nil {
		resp.Body.Close()
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { ws.CloseNow() })
	return ws
}

func evaluate(ctx context.Context, t *testing.T, ws *websocket.Conn, expression string) string {
	t.Helper()
	q := fmt.Sprintf(`{"id":1,"method":"Runtime.evaluate","params":{"expression":%q}}`, expression)
	if err := ws.Write(ctx, websocket.MessageText, []byte(q)); err != nil {
		t.Fatal(err)
	}
	for {
		_, b, err := ws.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			ID     int
			Result struct{ Result struct{ Value json.Number } }
		}
		if json.Unmarshal(b, &answer) == nil && answer.ID == 1 {
			return answer.Result.Result.Value.String()
		}
	}
}
