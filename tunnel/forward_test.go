package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/answering"
)

// keptBox runs a real sshd behind a relay and keeps a link to it up. Pings are so rare that they never are what ends it.
func keptBox(t testing.TB, lines ...string) (*testSSHD, *Keeper, func()) {
	t.Helper()
	server, hop := testBox(t, lines...)
	relay, hop := behindCutter(t, server, hop)
	k, _ := keep(t, runPool(t, PoolOptions{}), NewTarget([]Hop{hop}))
	return server, k, relay.Cut
}

// running is a forward that runs until the test ends.
func running(t testing.TB, kind ForwardKind, text string, via Via, opts ForwardOptions) *Forward {
	t.Helper()
	spec, err := ParseForward(kind, text)
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewForward(spec, via, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
		if s := f.Status(); s.Connections != 0 {
			t.Errorf("%d connections are left", s.Connections)
		}
	})
	return f
}

// dialForward connects to where a forward listens, here.
func dialForward(t testing.TB, f *Forward) net.Conn {
	t.Helper()
	network, address := f.Status().Listen.dialled()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// refusedHere is how a connection that is not let in ends. It may be reset before connect has returned.
func refusedHere(f *Forward) error {
	network, address := f.Status().Listen.dialled()
	c, err := net.Dial(network, address)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	_, err = c.Read(make([]byte, 1))
	return err
}

// halfServer takes connections, reads each to its end, and answers with how many bytes came and what ends with it, after the end of file.
func halfServer(t testing.TB, network, address string) *answering.Server {
	t.Helper()
	return answering.Serve(t, network, address, func(c net.Conn) {
		data, err := io.ReadAll(c)
		fmt.Fprintf(c, "%d %v %s", len(data), err, data[max(0, len(data)-5):])
	})
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// halfClose sends data, ends its direction and returns the answer that comes after.
func halfClose(t testing.TB, c net.Conn, data string) string {
	t.Helper()
	if _, err := io.WriteString(c, data); err != nil {
		t.Fatal(err)
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	return string(answer)
}

// Every way from here: TCP and unix sockets at both ends, with end of file in one direction while the other goes on.
func TestForwardLocalWays(t *testing.T) {
	_, k, _ := keptBox(t)
	dir := t.TempDir()
	tcp, unix := halfServer(t, "tcp", "127.0.0.1:0"), halfServer(t, "unix", dir+"/far")
	data := strings.Repeat("0123456789", 400_000) + "the end"
	for name, text := range map[string]string{
		"tcp to tcp":   fmt.Sprintf("0:127.0.0.1:%d", tcp.Port()),
		"tcp to unix":  "0:" + unix.Addr().String(),
		"unix to tcp":  fmt.Sprintf("%s:localhost:%d", dir+"/near", tcp.Port()),
		"unix to unix": dir + "/near:" + unix.Addr().String(),
	} {
		t.Run(name, func(t *testing.T) {
			f := running(t, ForwardLocal, text, k, ForwardOptions{})
			want := fmt.Sprintf("%d <nil> e end", len(data))
			if got := halfClose(t, dialForward(t, f), data); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			eventually(t, "the connection is over", func() bool { return f.Status().Connections == 0 })
			s := f.Status()
			if s.State != ForwardUp || s.Total != 1 || s.BytesOut != uint64(len(data)) || s.BytesIn != uint64(len(want)) || s.Err != nil {
				t.Errorf("Status = %+v", s)
			}
		})
	}
}

// The far side's end of file leaves this side free to go on sending.
func TestForwardKeepsTheOtherHalf(t *testing.T) {
	_, k, _ := keptBox(t)
	got := make(chan string, 1)
	far := answering.Local(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "all that I have")
		_ = c.(*net.TCPConn).CloseWrite()
		data, err := io.ReadAll(c)
		got <- fmt.Sprint(string(data), err)
	})
	f := running(t, ForwardLocal, fmt.Sprintf("0:127.0.0.1:%d", far.Port()), k, ForwardOptions{})
	c := dialForward(t, f)
	if data, err := io.ReadAll(c); string(data) != "all that I have" || err != nil {
		t.Fatalf("read %q, %v", data, err)
	}
	_, _ = io.WriteString(c, "I have more")
	_ = c.Close()
	if s := <-got; s != "I have more<nil>" {
		t.Errorf("the far side read %q", s)
	}
}

// What ends at the far side ends here, even where this client sends nothing and waits.
func TestForwardFarSideCloses(t *testing.T) {
	_, k, _ := keptBox(t)
	far := answering.Local(t, func(c net.Conn) { _, _ = io.WriteString(c, "bye") })
	f := running(t, ForwardLocal, fmt.Sprintf("0:127.0.0.1:%d", far.Port()), k, ForwardOptions{})
	c := dialForward(t, f)
	if data, err := io.ReadAll(c); string(data) != "bye" || err != nil {
		t.Errorf("read %q, %v", data, err)
	}
	_ = c.Close()
	eventually(t, "the connection is over", func() bool { return f.Status().Connections == 0 })
}

// A destination that refuses affects its own connection only, and the client sees that it was no success.
func TestForwardRefusedDestination(t *testing.T) {
	_, k, _ := keptBox(t)
	dir := t.TempDir()
	f := running(t, ForwardLocal, "0:"+dir+"/later", k, ForwardOptions{})
	if data, err := io.ReadAll(dialForward(t, f)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %q, %v, want a reset", data, err)
	}
	eventually(t, "the error is shown", func() bool { return errors.Is(f.Status().Err, ErrFarDial) && !f.Status().ErrAt.IsZero() })
	if s := f.Status(); s.State != ForwardUp || hintOf(s.Err) == "" {
		t.Errorf("Status = %+v", s)
	}
	halfServer(t, "unix", dir+"/later")
	if got := halfClose(t, dialForward(t, f), "hello"); got != "5 <nil> hello" {
		t.Errorf("got %q once the destination is there", got)
	}
	if s := f.Status(); s.Err != nil || !s.ErrAt.IsZero() {
		t.Errorf("Status = %+v after a success", s)
	}
}

// A listener outlives the link: who comes in an outage waits for the next link, and who was there is reset.
func TestForwardOutage(t *testing.T) {
	server, k, cut := keptBox(t)
	echo := echoServer(t)
	_, port, _ := net.SplitHostPort(echo)
	f := running(t, ForwardLocal, "0:127.0.0.1:"+port, k, ForwardOptions{})
	eventually(t, "it is up", func() bool { return f.Status().State == ForwardUp })
	before := dialForward(t, f)
	if got := say(t, before, "before"); got != "before" {
		t.Fatalf("echo %q", got)
	}
	listen := f.Status().Listen
	server.Stop()
	cut()
	if n, err := before.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read = %d, %v, want a reset", n, err)
	}
	eventually(t, "it waits", func() bool { return f.Status().State == ForwardWaiting && k.Status().State == LinkWaiting })
	during := dialForward(t, f)
	answer := make(chan string, 1)
	go func() { answer <- say(t, during, "during") }()
	eventually(t, "the connection waits", func() bool { return f.Status().Connections == 1 })
	server.Start()
	k.Retry()
	if got := <-answer; got != "during" {
		t.Errorf("echo %q after the outage", got)
	}
	if s := f.Status(); s.Listen != listen || s.State != ForwardUp {
		t.Errorf("Status = %+v, want it where it was, %v", s, listen)
	}
}

// say sends text and returns what comes back in its length.
func say(t testing.TB, c net.Conn, text string) string {
	if _, err := io.WriteString(c, text); err != nil {
		t.Errorf("write: %v", err)
		return ""
	}
	back := make([]byte, len(text))
	if _, err := io.ReadFull(c, back); err != nil {
		t.Errorf("read: %v", err)
	}
	return string(back)
}

func TestForwardRestart(t *testing.T) {
	_, k, _ := keptBox(t)
	echo := echoServer(t)
	_, port, _ := net.SplitHostPort(echo)
	f := running(t, ForwardLocal, "0:127.0.0.1:"+port, k, ForwardOptions{})
	other := running(t, ForwardLocal, "0:127.0.0.1:"+port, k, ForwardOptions{})
	listen := f.Status().Listen
	c, bystander := dialForward(t, f), dialForward(t, other)
	say(t, c, "hello")
	say(t, bystander, "hello")
	f.Restart()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read = %v, want a reset", err)
	}
	if got := say(t, dialForward(t, f), "again"); got != "again" || f.Status().Listen != listen {
		t.Errorf("echo %q at %v, want it at %v", got, f.Status().Listen, listen)
	}
	if got := say(t, bystander, "still here"); got != "still here" {
		t.Errorf("the other forward's connection: %q", got)
	}
}

func TestForwardAdmitAndLoop(t *testing.T) {
	_, k, _ := keptBox(t)
	echo := echoServer(t)
	_, port, _ := net.SplitHostPort(echo)
	stranger := errors.New("a stranger")
	for name, test := range map[string]struct {
		opts ForwardOptions
		want error
	}{
		"admit": {ForwardOptions{Admit: func(net.Conn) error { return stranger }}, stranger},
		"loop":  {ForwardOptions{Loop: func(network, address string) bool { return network == "tcp" && address == "127.0.0.1:"+port }}, ErrLoop},
	} {
		t.Run(name, func(t *testing.T) {
			f := running(t, ForwardLocal, "0:127.0.0.1:"+port, k, test.opts)
			if err := refusedHere(f); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v, want a reset", err)
			}
			eventually(t, "the error is shown", func() bool { return errors.Is(f.Status().Err, test.want) })
		})
	}
}

// A forward that leads to itself, which nobody can tell beforehand, stops at the bound and is well afterwards.
func TestForwardLoopIsBounded(t *testing.T) {
	_, k, _ := keptBox(t)
	spec := ForwardSpec{Kind: ForwardLocal, Listen: Endpoint{}, Target: Endpoint{Host: "127.0.0.1", Port: 1}}
	f, err := NewForward(spec, k, ForwardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.spec.Target.Port, f.most = f.Status().Listen.Port, 50
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	c := dialForward(t, f)
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a byte came out of the loop")
	}
	c.Close()
	eventually(t, "the loop has unwound", func() bool { return f.Status().Connections == 0 })
	if s := f.Status(); s.Total > 52 {
		t.Errorf("%d connections", s.Total)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if echo, err := k.Dial(t.Context(), "tcp", echoServer(t)); err != nil {
		t.Errorf("the link does not work: %v", err)
	} else {
		echo.Close()
	}
}

// lackingListener has no file for the first connections.
type lackingListener struct {
	net.Listener
	lacks int
}

func (l *lackingListener) Accept() (net.Conn, error) {
	if l.lacks > 0 {
		l.lacks--
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestForwardWithoutFiles(t *testing.T) {
	_, k, _ := keptBox(t)
	_, port, _ := net.SplitHostPort(echoServer(t))
	spec, err := ParseForward(ForwardLocal, "0:127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewForward(spec, k, ForwardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.listeners[0] = &lackingListener{f.listeners[0], 5}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	eventually(t, "the error is shown", func() bool { return errors.Is(f.Status().Err, syscall.EMFILE) })
	if got := say(t, dialForward(t, f), "hello"); got != "hello" {
		t.Errorf("echo %q", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestForwardBind(t *testing.T) {
	_, k, _ := keptBox(t)
	bind := func(t *testing.T, text string, opts ForwardOptions) (*Forward, error) {
		t.Helper()
		spec, err := ParseForward(ForwardLocal, text)
		if err != nil {
			t.Fatal(err)
		}
		f, err := NewForward(spec, k, opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f, f.Bind(t.Context())
	}
	reachable := func(host string, port int) bool {
		c, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	t.Run("both loopbacks have the same port", func(t *testing.T) {
		f, err := bind(t, "0:db:1", ForwardOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e := f.Status().Listen
		if e.Host != "127.0.0.1" || !reachable("127.0.0.1", e.Port) || hasIPv6(t) && !reachable("::1", e.Port) {
			t.Errorf("listens on %v", e)
		}
		if outer := outerAddress(t); outer != "" && reachable(outer, e.Port) {
			t.Errorf("%s:%d is reachable", outer, e.Port)
		}
	})
	for name, test := range map[string]struct {
		text string
		opts ForwardOptions
	}{"star": {"*:0:db:1", ForwardOptions{}}, "gateway": {"0:db:1", ForwardOptions{GatewayPorts: true}}} {
		t.Run(name+" means all addresses", func(t *testing.T) {
			f, err := bind(t, test.text, test.opts)
			if err != nil {
				t.Fatal(err)
			}
			e := f.Status().Listen
			if e.Host != "*" || !reachable("127.0.0.1", e.Port) || hasIPv6(t) && !reachable("::1", e.Port) {
				t.Errorf("listens on %v", e)
			}
			if outer := outerAddress(t); outer != "" && !reachable(outer, e.Port) {
				t.Errorf("%s:%d is not reachable", outer, e.Port)
			}
		})
	}
	t.Run("in use", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, err = bind(t, fmt.Sprintf("%d:db:1", portOf(l)), ForwardOptions{})
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "this very process") || hintOf(err) == "" {
			t.Errorf("Bind = %v", err)
		}
		if _, err := bind(t, fmt.Sprintf("[::1]:%d:db:1", portOf(l)), ForwardOptions{}); err != nil && hasIPv6(t) {
			t.Errorf("Bind on the other family = %v", err)
		}
	})
	t.Run("in use by another process", func(t *testing.T) {
		server, _ := testBox(t)
		_, err := bind(t, fmt.Sprintf("%d:db:1", server.Port()), ForwardOptions{})
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "(sshd) listens there") {
			t.Errorf("Bind = %v", err)
		}
	})
	t.Run("no address of ours", func(t *testing.T) {
		_, err := bind(t, "192.0.2.1:0:db:1", ForwardOptions{})
		if !errors.Is(err, syscall.EADDRNOTAVAIL) || hintOf(err) == "" {
			t.Errorf("Bind = %v", err)
		}
	})
	t.Run("privileged", func(t *testing.T) {
		err := bindError(t.Context(), Endpoint{Port: 80}, &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)})
		if err.Error() != "listen on port 80: permission denied" || !strings.Contains(hintOf(err), "1024") {
			t.Errorf("%v (%s)", err, hintOf(err))
		}
	})
}

func TestForwardSocketFile(t *testing.T) {
	_, k, _ := keptBox(t)
	dir := t.TempDir()
	bind := func(path string, opts ForwardOptions) (*Forward, error) {
		f, err := NewForward(ForwardSpec{Kind: ForwardLocal, Listen: Endpoint{Path: path}, Target: Endpoint{Host: "db", Port: 1}}, k, opts)
		if err != nil {
			t.Fatal(err)
		}
		return f, f.Bind(t.Context())
	}
	mode := func(path string) os.FileMode {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	path := filepath.Join(dir, "s")
	f, err := bind(path, ForwardOptions{})
	if err != nil || mode(path) != 0o600 {
		t.Fatalf("Bind = %v, mode %o", err, mode(path))
	}
	if _, err := bind(path, ForwardOptions{Unlink: true}); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "another program listens there") {
		t.Errorf("a live socket: Bind = %v", err)
	}
	f.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}

	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	if _, err := bind(path, ForwardOptions{}); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(hintOf(err), "StreamLocalBindUnlink") {
		t.Errorf("a stale socket: Bind = %v (%s)", err, hintOf(err))
	}
	f, err = bind(path, ForwardOptions{Unlink: true, BindMask: 0o117})
	if err != nil || mode(path) != 0o660 {
		t.Errorf("a stale socket with Unlink: Bind = %v, mode %o", err, mode(path))
	}
	// What has taken the place meanwhile is not ours to remove.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, "precious")
	f.Close()
	if data, err := os.ReadFile(path); string(data) != "precious" {
		t.Errorf("the file that took the place: %q, %v", data, err)
	}
	if _, err := bind(path, ForwardOptions{Unlink: true}); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file: Bind = %v", err)
	}
	if _, err := bind(filepath.Join(dir, strings.Repeat("x", 200)), ForwardOptions{}); !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("a long path: Bind = %v", err)
	}
}

func hasIPv6(t testing.TB) bool {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		l.Close()
	}
	return err == nil
}

// outerAddress is an address of this machine that is not loopback; "" where it has none.
func outerAddress(t testing.TB) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	return ""
}

// absent is a link that is not there, for those who do not hurry.
type absent struct{ hurried chan struct{} }

func (absent) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
func (absent) Up(ctx context.Context) (*Link, error) { <-ctx.Done(); return nil, ctx.Err() }
func (a absent) Hurry(context.Context) (*Link, error) {
	close(a.hurried)
	return nil, ErrUnreachable
}

// A forward that nobody uses waits for its link patiently; a client makes it hurry.
func TestForwardHurriesForAClient(t *testing.T) {
	via := absent{make(chan struct{})}
	f := running(t, ForwardLocal, "0:127.0.0.1:1", via, ForwardOptions{})
	eventually(t, "it waits", func() bool { return f.Status().State == ForwardWaiting })
	if isClosed(via.hurried) {
		t.Error("hurries without a client")
	}
	listen := f.Status().Listen
	network, address := listen.dialled()
	if c, err := net.Dial(network, address); err == nil { // else it has been reset already
		defer c.Close()
	}
	select {
	case <-via.hurried:
	case <-time.After(30 * time.Second):
		t.Error("does not hurry for a client")
	}
}
