package integration_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// hello begins a DAP conversation.
const hello = `{"seq":1,"type":"request","command":"initialize","arguments":{"adapterID":"x"}}`

// attack does something to a local port that no front end does.
type attack struct {
	name string
	do   func(t *testing.T, addr string)
}

// attacks are for every protocol.
func attacks() []attack {
	noise := make([]byte, 64<<10)
	rand.Read(noise) // never fails
	say := func(texts ...string) func(t *testing.T, addr string) {
		return func(t *testing.T, addr string) {
			for _, text := range texts {
				tell(t, addr, text)
			}
		}
	}
	return []attack{
		{"garbage", say(string(noise), "\x00\x00\x00\x00", "\xff\xfe\xfd", "\r\n\r\n", strings.Repeat("A", 1<<20))},
		{"half a message", say("Content-Length: 100\r\n\r\n{", "Content-Le", "Content-Length: ", "{", "JDWP-Hand", "GET /")},
		{"lengths that lie", say(
			"Content-Length: 10737418240\r\n\r\n{\"seq\":1", "Content-Length: -1\r\n\r\n", "Content-Length: 99999999999999999999999\r\n\r\n",
			"Content-Length: 0\r\n\r\n", "Content-Length: 268435456\r\n\r\n{", "Content-Length: 1\r\nContent-Length: 5\r\n\r\n{")},
		{"10 GB that come", func(t *testing.T, addr string) { pour(t, addr, "Content-Length: 10737418240\r\n\r\n") }},
		{"headers without an end", func(t *testing.T, addr string) { pour(t, addr, "Content-Length: 10\r\nX: ") }},
		{"a message that is no JSON", say("Content-Length: 5\r\n\r\nabcde", "Content-Length: 2\r\n\r\n[]")},
		{"port scan", scan},
		{"many that say nothing", crowd},
		{"web pages", func(t *testing.T, addr string) {
			body := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(hello), hello)
			for _, text := range []string{
				"GET / HTTP/1.1\r\nHost: " + addr + "\r\nOrigin: https://evil.example\r\n\r\n",
				fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nOrigin: https://evil.example\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body),
				"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n",
				"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
			} {
				if answer := tell(t, addr, text); strings.Contains(answer, `"success"`) || strings.Contains(answer, "ws://") {
					t.Errorf("a web page was answered: %q", answer)
				}
			}
		}},
		{"another user", anotherUser},
	}
}

// tell connects, says a text, and returns what is answered until the other side hangs up or has nothing to say for a moment.
func tell(t *testing.T, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("the local port has gone: %v", err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	io.WriteString(c, text) // that it is cut short is the point
	answer, _ := io.ReadAll(io.LimitReader(c, 1<<20))
	return string(answer)
}

// pour says a text and then goes on without end, until it is thrown out.
func pour(t *testing.T, addr, begin string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	sent, err := io.Copy(c, io.MultiReader(strings.NewReader(begin), endless{}))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after %d bytes it was still there", sent)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	copy(p, bytes.Repeat([]byte{'x'}, len(p)))
	return len(p), nil
}

// scan connects and leaves, politely and with a reset.
func scan(t *testing.T, addr string) {
	for i := range 60 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			c.(*net.TCPConn).SetLinger(0)
		}
		c.Close()
	}
}

// crowd holds many connections that say nothing; the test goes on while they are there.
func crowd(t *testing.T, addr string) {
	for range 150 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
}

// anotherUser connects as nobody.
func anotherUser(t *testing.T, addr string) {
	if os.Getuid() != 0 {
		t.Skip("needs root: to connect as another user")
	}
	host, port, _ := net.SplitHostPort(addr)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	const client = `exec 3<>/dev/tcp/$0/$1 || exit 9
printf '%s' "$2" >&3
cat <&3`
	for _, text := range []string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(hello), hello),
		"GET /json/list HTTP/1.1\r\nHost: " + addr + "\r\n\r\n",
		"JDWP-Handshake",
	} {
		cmd := exec.CommandContext(ctx, "bash", "-c", client, host, port, text)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Dir = "/"
		out, err := cmd.Output() // a reset, or the end of file
		if ee, ok := err.(*exec.ExitError); err != nil && (!ok || ee.ExitCode() == 9 || ctx.Err() != nil) {
			t.Fatalf("connect as nobody: %v", err)
		}
		if len(out) > 0 {
			t.Errorf("another user was answered: %q", out)
		}
	}
}

// TestHostileFrontEnds: after each attack the session still serves a real front end, and brokerd is no bigger than it was.
func TestHostileFrontEnds(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	for _, k := range tickers(t) {
		t.Run(k.lang, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			v := s.Open(k.open("box", nil)...)
			all := attacks()
			if k.lang == "node" {
				all = append(all, attack{"evil Host and Origin", evilInspector})
			}
			// The program has not begun: nobody of these may let it.
			for _, a := range all {
				t.Run(a.name, func(t *testing.T) {
					before := residentMB(t, s.PID())
					a.do(t, v.Local)
					if grown := residentMB(t, s.PID()) - before; grown > 128 {
						t.Errorf("brokerd has grown by %d MB", grown)
					}
					if a.name == "many that say nothing" || a.name == "port scan" {
						serves(t, s, k)
					}
				})
			}
			if n := outputSoFar(t, s.Broker, v.ID); k.lang != "java" && ticked(t, s, v.ID) {
				t.Errorf("the program was set going: %d lines", n)
			}
			k.pause(t, v.Local)
			if now := s.Show(v.ID); now.Phase != api.PhaseAttached || now.Clients != 1 {
				t.Errorf("session: phase %s, %d clients", now.Phase, now.Clients)
			}
			s.Broker.Close(v.ID)
			gone(t, v)
		})
	}
}

// serves opens another session beside the one under attack.
func serves(t *testing.T, s station, k ticker) {
	t.Helper()
	s = s.in(t)
	v := s.Open(k.open("box", nil)...)
	k.pause(t, v.Local)
	s.Broker.Close(v.ID)
}

// ticked tells whether the program has printed anything.
func ticked(t *testing.T, s station, id string) bool {
	t.Helper()
	return strings.Contains(s.OK("logs", id).Stdout, "tick ")
}

// evilInspector is what a web page can do to an inspector: another Host (DNS rebinding), another Origin.
func evilInspector(t *testing.T, addr string) {
	for _, text := range []string{
		"GET /json/list HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"GET /json/list HTTP/1.1\r\nHost: evil.example:80\r\nOrigin: http://evil.example\r\n\r\n",
		"GET /json/list HTTP/1.1\r\nHost: " + addr + "\r\nOrigin: https://evil.example\r\n\r\n",
		"GET /json HTTP/1.0\r\n\r\n",
		"PUT /json/new HTTP/1.1\r\nHost: " + addr + "\r\nOrigin: https://evil.example\r\n\r\n",
	} {
		if answer := tell(t, addr, text); strings.Contains(answer, "webSocketDebuggerUrl") || strings.Contains(answer, "ws://") {
			t.Errorf("%q was answered: %q", text, answer)
		}
	}
	url := inspectorPath(t, addr)
	for _, origin := range []string{"https://evil.example", "http://localhost.evil.example", "null", "file://"} {
		answer := tell(t, addr, "GET "+url+" HTTP/1.1\r\nHost: "+addr+"\r\nOrigin: "+origin+"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
		if strings.Contains(answer, " 101 ") {
			t.Errorf("origin %s was let in: %q", origin, answer)
		}
	}
}

func inspectorPath(t *testing.T, addr string) string {
	t.Helper()
	answer := tell(t, addr, "GET /json/list HTTP/1.1\r\nHost: "+addr+"\r\n\r\n")
	_, rest, ok := strings.Cut(answer, "ws://"+addr)
	path, _, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 {
		t.Fatalf("the inspector does not tell its targets: %q", answer)
	}
	return path
}

// residentMB is a process's resident memory.
func residentMB(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb >> 10
}

// TestAttacksBesideAFrontEnd: who is served is not disturbed.
func TestAttacksBesideAFrontEnd(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	k := pythonTicker(t)
	v := s.Open(k.open("box", nil)...)
	path := programs.Path(t, "python/ticker.py")
	d := expect.DialDAP(t, v.Local)
	d.Begin(pythonAttach(), path, programs.BreakLine(t, path))
	stop := d.WaitStopped("breakpoint")
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) { a.do(t, v.Local) })
	}
	d.Next(stop.ThreadId)
	if _, locals := d.Locals(stop.ThreadId); locals["label"] != "'tick 1'" {
		t.Errorf("locals %v", locals)
	}
	s.Broker.Close(v.ID)
}
