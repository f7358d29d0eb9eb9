package tunnel

import (
	"bytes"
	"encoding/binary"
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
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/debugbroker/debugbroker/integration/answering"
)

func socks5Request(command, kind byte, address string, port int) []byte {
	b := append([]byte{5, 1, 0, 5, command, 0, kind}, address...)
	return binary.BigEndian.AppendUint16(b, uint16(port))
}

func named(name string) string { return string([]byte{byte(len(name))}) + name }

func socks4Request(command byte, port int, ip, rest string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{4, command}, uint16(port))
	return append(append(b, net.ParseIP(ip).To4()...), rest...)
}

// Each kind of request, over the real sshd: what is served, and what is answered where it is not.
func TestSocks(t *testing.T) {
	_, k, _ := keptBox(t, "AddressFamily any", "PermitOpen 127.0.0.1:* localhost:* [::1]:* no-such-host.invalid:*")
	echo4, echo6 := answering.Local(t, answering.Echo), 0
	if hasIPv6(t) {
		echo6 = answering.Serve(t, "tcp6", "[::1]:0", answering.Echo).Port()
	}
	port := echo4.Port()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := portOf(closed)
	closed.Close()
	granted5, granted4 := "\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", "\x00\x5a\x00\x00\x00\x00\x00\x00"
	refused5 := func(code byte) string {
		return "\x05\x00\x05" + string([]byte{code}) + "\x00\x01\x00\x00\x00\x00\x00\x00"
	}
	refused4 := "\x00\x5b\x00\x00\x00\x00\x00\x00"
	for name, test := range map[string]struct {
		request []byte
		answer  string
		works   bool
	}{
		"5, IPv4":                      {socks5Request(1, 1, "\x7f\x00\x00\x01", port), granted5, true},
		"5, name":                      {socks5Request(1, 3, named("localhost"), port), granted5, true},
		"5, IPv4 mapped into IPv6":     {socks5Request(1, 4, string(net.ParseIP("127.0.0.1").To16()), port), granted5, true},
		"5, IPv6":                      {socks5Request(1, 4, string(net.IPv6loopback), echo6), granted5, true},
		"5, several methods":           {append([]byte{5, 3, 2, 0, 1}, socks5Request(1, 3, named("localhost"), port)[3:]...), granted5, true},
		"5, refused there":             {socks5Request(1, 1, "\x7f\x00\x00\x01", nobody), refused5(5), false},
		"5, no such host":              {socks5Request(1, 3, named("no-such-host.invalid"), 80), refused5(4), false},
		"5, forbidden there":           {socks5Request(1, 1, "\xc0\x00\x02\x01", 80), refused5(2), false},
		"5, BIND":                      {socks5Request(2, 1, "\x7f\x00\x00\x01", port), refused5(7), false},
		"5, UDP":                       {socks5Request(3, 1, "\x7f\x00\x00\x01", port), refused5(7), false},
		"5, no such address type":      {socks5Request(1, 9, "", 0), refused5(8), false},
		"5, port 0":                    {socks5Request(1, 3, named("localhost"), 0), refused5(1), false},
		"5, no name":                   {socks5Request(1, 3, named(""), 80), refused5(1), false},
		"5, no name that any host has": {socks5Request(1, 3, named("a\x1b[2J"), 80), refused5(4), false},
		"5, another version inside":    {[]byte{5, 1, 0, 4, 1, 0, 1, 127, 0, 0, 1, 0, 80}, refused5(1), false},
		"5, password only":             {[]byte{5, 1, 2}, "\x05\xff", false},
		"5, no method":                 {[]byte{5, 0}, "\x05\xff", false},
		"4":                            {socks4Request(1, port, "127.0.0.1", "user\x00"), granted4, true},
		"4a":                           {socks4Request(1, port, "0.0.0.7", "\x00localhost\x00"), granted4, true},
		"4, refused there":             {socks4Request(1, nobody, "127.0.0.1", "\x00"), refused4, false},
		"4, BIND":                      {socks4Request(2, port, "127.0.0.1", "\x00"), refused4, false},
		"4, user without end":          {socks4Request(1, port, "127.0.0.1", strings.Repeat("x", 300)), "", false},
		"http":                         {[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "", false},
		"connect":                      {[]byte("CONNECT db:80 HTTP/1.1\r\n\r\n"), "", false},
		"tls":                          {[]byte("\x16\x03\x01\x02\x00\x01"), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "5, IPv6" && echo6 == 0 {
				t.Skip("this machine has no IPv6")
			}
			f := running(t, ForwardSocks, "0", k, ForwardOptions{})
			c := dialForward(t, f)
			// Data right behind the request is the target's.
			if _, err := c.Write(append(test.request, "early"...)); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(test.answer))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != test.answer {
				t.Fatalf("answer %q, %v, want %q", got, err, test.answer)
			}
			if test.works {
				if got := halfClose(t, c, " and late"); got != "early and late" {
					t.Errorf("echo %q", got)
				}
				return
			}
			if n, err := c.Read(make([]byte, 1)); err == nil {
				t.Errorf("read %d bytes more", n)
			}
			eventually(t, "the error is shown", func() bool { return f.Status().Err != nil })
		})
	}
}

// curl, a client that we have not written.
func TestSocksWithCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("no curl here")
	}
	_, k, _ := keptBox(t)
	web := answering.Local(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1000))
		_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\nhello")
	})
	f := running(t, ForwardSocks, "0", k, ForwardOptions{})
	for _, scheme := range []string{"socks5", "socks5h", "socks4", "socks4a"} {
		out, err := exec.Command(curl, "-sS", "-m", "20", "-4", "-x", scheme+"://"+f.Status().Listen.String(), "http://localhost:"+strconv.Itoa(web.Port())).CombinedOutput()
		if err != nil || string(out) != "hello" {
			t.Errorf("%s: %q, %v", scheme, out, err)
		}
	}
}

// On the far side there is the same server, whose clients connect from here.
func TestSocksOnTheFarSide(t *testing.T) {
	_, k, _ := keptBox(t)
	echo := answering.Local(t, answering.Echo)
	f := up(t, running(t, ForwardRemote, "0", k, ForwardOptions{Loop: func(_, address string) bool { return strings.HasPrefix(address, "loop.invalid:") }}))
	for _, test := range []struct {
		request []byte
		code    byte
	}{
		{socks5Request(1, 3, named("localhost"), echo.Port()), 0},
		{socks5Request(1, 3, named("loop.invalid"), 80), 2},
		{socks5Request(1, 3, named("no-such-host.invalid"), 80), 4},
		{socks5Request(1, 1, "\x7f\x00\x00\x01", 1), 5},
	} {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", f.Status().Listen.Port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write(append(test.request, "early"...))
		answer := make([]byte, 12)
		if _, err := io.ReadFull(c, answer); err != nil || answer[3] != test.code {
			t.Fatalf("answer %x, %v, want code %d", answer, err, test.code)
		}
		if test.code == 0 {
			if got := halfClose(t, c, " and late"); got != "early and late" {
				t.Errorf("echo %q", got)
			}
		}
	}
}

// A client that dribbles is let go at the end of its time, however often it writes.
func TestSocksSlowLoris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				if _, err := near.Write([]byte{4}); err != nil {
					return
				}
				time.Sleep(handshakeWait / 20)
			}
		}()
		began := time.Now()
		_, err := acceptSocks(far)
		if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != handshakeWait {
			t.Errorf("acceptSocks = %v after %v", err, took)
		}
		far.Close()
		<-ended
	})
}

// One client more than a forward has handshakes with at once is reset.
func TestSocksHandshakesAreBounded(t *testing.T) {
	_, k, _ := keptBox(t)
	f := running(t, ForwardSocks, "0", k, ForwardOptions{})
	for range maxHandshakes {
		dialForward(t, f)
	}
	eventually(t, "all handshakes are under way", func() bool { return len(f.handshakes) == maxHandshakes })
	if err := refusedHere(f); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("one more gets %v, want a reset", err)
	}
	eventually(t, "the error is shown", func() bool { return errors.Is(f.Status().Err, errBusy) })
}

// pipeClient is a client that sends all its bytes, one at a time, and keeps what it gets.
type pipeClient struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (c *pipeClient) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *pipeClient) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *pipeClient) SetDeadline(time.Time) error      { return nil }
func (c *pipeClient) SetWriteDeadline(time.Time) error { return nil }

func FuzzSocks(f *testing.F) {
	f.Add(socks5Request(1, 3, named("localhost"), 80))
	f.Add(socks5Request(1, 4, string(net.IPv6loopback), 80))
	f.Add(socks4Request(1, 80, "0.0.0.1", "me\x00db\x00"))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &pipeClient{in: iotest.OneByteReader(bytes.NewReader(data))}
		req, err := acceptSocks(c)
		if c.out.Len() > 12 {
			t.Fatalf("%x was sent", c.out.Bytes())
		}
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Fatalf("%d bytes of error", len(err.Error()))
			}
			return
		}
		host, port, err := net.SplitHostPort(req.address)
		if n, _ := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || host == "" || strings.ContainsAny(host, "\x00\r\n \x1b") {
			t.Fatalf("%x leads to %q", data, req.address)
		}
	})
}
