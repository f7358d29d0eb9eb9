package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// jvm shakes hands and then echoes.
func jvm(c net.Conn) {
	b := make([]byte, len(jdwpHandshake))
	if _, err := io.ReadFull(c, b); err != nil {
		return
	}
	_, _ = c.Write(b)
	echo(c)
}

func packet(size int) string {
	b := bytes.Repeat([]byte{7}, size)
	binary.BigEndian.PutUint32(b, uint32(size))
	return string(b)
}

func TestJDWPHostileFirstBytes(t *testing.T) {
	for name, send := range map[string]string{
		"port scan": "", "HTTP": "GET / HTTP/1.1\r\n\r\n", "nearly": "JDWP-HandshakE", "half": "JDWP-Hand", "a packet": packet(11),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, Config{Protocol: "jdwp", Dial: server(t, jvm)})
			c := r.connect(t)
			_, _ = io.WriteString(c, send)
			_ = c.(*net.TCPConn).CloseWrite()
			ended(t, c)
			if n := r.dialled(); n != 0 {
				t.Fatalf("the JVM was dialled %d times", n)
			}
		})
	}
}

func TestJDWPPassesByteForByte(t *testing.T) {
	r := start(t, Config{Protocol: "jdwp", Dial: server(t, jvm)})
	c := r.connect(t)
	sent := jdwpHandshake + packet(11) + packet(500) + packet(5<<20) + packet(12)
	go func() { _, _ = io.WriteString(c, sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != sent {
		t.Fatal("bytes differ")
	}
	_, _ = io.WriteString(c, "\x00\x00\x00\x05hello")
	ended(t, c)
	r.awaitEvent(t, "detached: refused: not a JDWP packet")
}

func TestPacketsAreOneWriteEach(t *testing.T) {
	in := packet(11) + packet(3000) + packet(12)
	rec := &recorder{Conn: discard{}}
	_ = packets(rec, bufio.NewReaderSize(iotest.HalfReader(strings.NewReader(in)), copyBuffer), false)
	if strings.Join(rec.writes, "") != in || len(rec.writes) != 3 {
		t.Fatalf("%d writes for 3 packets", len(rec.writes))
	}
	for _, bad := range []string{"\x00\x00\x00\x0a", "\xff\xff\xff\xff", "\x00\x00\x00\x00"} {
		if err := packets(rec, bufio.NewReader(strings.NewReader(bad)), false); !errors.Is(err, errPacket) {
			t.Errorf("%q: got %v, want errPacket", bad, err)
		}
	}
}

type discard struct{ net.Conn }

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// A JVM that does not listen yet, or takes a connection and drops it, is asked again.
func TestJDWPWaitsForTheJVM(t *testing.T) {
	var tries atomic.Int32
	dial := server(t, func(c net.Conn) {
		if tries.Add(1) >= 3 {
			jvm(c)
		}
	})
	refusals := 0
	r := start(t, Config{Protocol: "jdwp", Dial: func(ctx context.Context) (net.Conn, error) {
		if refusals++; refusals < 3 {
			return nil, errors.New("connection refused")
		}
		return dial(ctx)
	}})
	c := r.connect(t)
	_, _ = io.WriteString(c, jdwpHandshake)
	if _, err := io.ReadFull(c, make([]byte, len(jdwpHandshake))); err != nil {
		t.Fatal(err)
	}
}

func TestJDWPSecondDebuggerIsRefused(t *testing.T) {
	r := start(t, Config{Protocol: "jdwp", OneClient: true, Dial: server(t, jvm)})
	hello := func() net.Conn {
		c := r.connect(t)
		_, _ = io.WriteString(c, jdwpHandshake)
		return c
	}
	a := hello()
	if _, err := io.ReadFull(a, make([]byte, len(jdwpHandshake))); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(hello()); err != nil || len(b) != 0 {
		t.Fatalf("got %q, %v, want a closed connection", b, err)
	}
	r.awaitEvent(t, "refused: another front end is attached")
	a.Close()
	if _, err := io.ReadFull(hello(), make([]byte, len(jdwpHandshake))); err != nil {
		t.Fatalf("after the first has left: %v", err)
	}
}

func TestJDB(t *testing.T) {
	jdk := tools.Need(t, tools.Java)
	dir := t.TempDir()
	src := filepath.Join(dir, "App.java")
	if err := os.WriteFile(src, []byte(`public class App {
  static int n;
  static void tick() throws Exception {
    n++;
    Thread.sleep(50);
  }
  public static void main(String[] a) throws Exception { while (n < 2000) tick(); }
}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(jdk.Javac, "-g", src).CombinedOutput(); err != nil {
		t.Fatalf("javac: %v: %s", err, out)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	out := run(t, dir, nil, jdk.Java, "-agentlib:jdwp=transport=dt_socket,server=y,suspend=y,address="+addr, "App")
	eventually(t, "announcement of the JVM", func() bool {
		b, _ := os.ReadFile(out)
		return bytes.Contains(b, []byte("Listening for transport"))
	})
	r := start(t, Config{Protocol: "jdwp", OneClient: true, Dial: dialer(addr)})
	for i := range 3 { // each as soon as the one before has gone
		jdb := expect.StartJdb(t, jdk.Jdb, r.addr, dir)
		if i == 0 { // jdb forgets its threads if it is asked before it has taken in the start
			jdb.AwaitSuspended()
		}
		jdb.Ask("stop in App.tick", `App\.tick`)
		if i == 0 {
			if err := jdb.Send("run"); err != nil {
				t.Fatal(err)
			}
		}
		jdb.Expect(`(?s)Breakpoint hit.*main\[1\] `) // before its prompt it knows no frame
		jdb.Ask("print App.n", `App\.n = `)
		jdb.Ask("next", `(?s)Step completed.*main\[1\] `)
		if i == 1 {
			jdb.Kill()
			continue
		}
		jdb.Quit("quit")
	}
	r.awaitClients(t, 0)
}

// A debugger cannot end a program that ran before the session; what else it says goes on as it is.
func TestPacketsOfARunningProgram(t *testing.T) {
	packet := func(flags, set, command byte, data string) string {
		return string([]byte{0, 0, 0, byte(jdwpHeader + len(data)), 0, 0, 0, 7, flags, set, command}) + data
	}
	harmless := packet(0, 1, 7, "") + packet(0, 2, 10, "x") + packet(0x80, 1, 10, "a reply has an error code there")
	for name, c := range map[string]struct {
		gentle bool
		want   string
	}{"launched": {false, harmless + packet(0, 1, 10, "\x00\x00\x00\x09")}, "running": {true, harmless}} {
		var out strings.Builder
		err := packets(&out, bufio.NewReader(strings.NewReader(harmless+packet(0, 1, 10, "\x00\x00\x00\x09"))), c.gentle)
		var r refusal
		if out.String() != c.want || errors.As(err, &r) != c.gentle {
			t.Errorf("%s: forwarded %q, ended with %v", name, out.String(), err)
		}
	}
}
