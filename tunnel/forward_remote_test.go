package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/crypto/ssh"

	"github.com/debugbroker/debugbroker/integration/freeport"
)

func up(t *testing.T, f *Forward) *Forward {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); f.Status().State != ForwardUp; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not up: %+v", f.Status())
		}
	}
	return f
}

// Every way from there: TCP and unix sockets at both ends, port 0, bind addresses, with end of file in one direction while the other goes on.
func TestForwardRemoteWays(t *testing.T) {
	_, k, _ := keptBox(t)
	dir := t.TempDir()
	tcp, unix := halfServer(t, "tcp", "127.0.0.1:0"), halfServer(t, "unix", dir+"/near")
	data := strings.Repeat("0123456789", 400_000) + "the end"
	for name, text := range map[string]string{
		"port 0 to tcp":      fmt.Sprintf("0:127.0.0.1:%d", tcp.Port()),
		"a port to tcp":      fmt.Sprintf("%d:127.0.0.1:%d", freeport.On127(t), tcp.Port()),
		"port 0 to unix":     "0:" + unix.Addr().String(),
		"all addresses":      fmt.Sprintf("*:0:127.0.0.1:%d", tcp.Port()),
		"an address of all":  fmt.Sprintf("0.0.0.0:0:127.0.0.1:%d", tcp.Port()),
		"one address":        fmt.Sprintf("127.0.0.1:0:127.0.0.1:%d", tcp.Port()),
		"another's address":  fmt.Sprintf("192.0.2.1:0:127.0.0.1:%d", tcp.Port()), // GatewayPorts is off: loopback it is
		"unix to tcp":        fmt.Sprintf("%s:localhost:%d", dir+"/far", tcp.Port()),
		"unix to unix":       dir + "/far:" + unix.Addr().String(),
		"unix to unix again": dir + "/far:" + unix.Addr().String(),
	} {
		t.Run(name, func(t *testing.T) {
			f := up(t, running(t, ForwardRemote, text, k, ForwardOptions{}))
			at := f.Status().Listen
			if at.Path == "" && at.Host != "::1" {
				at.Host = "127.0.0.1"
			}
			carriesBack(t, f, at, data)
		})
		if _, err := os.Lstat(dir + "/far"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the far socket is left: %v", name, err)
		}
	}
}

// carriesBack has data go through a remote forward to a halfServer, with an end of file in one direction while the other goes on.
func carriesBack(t *testing.T, f *Forward, at Endpoint, data string) {
	t.Helper()
	network, address := at.dialled()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := fmt.Sprintf("%d <nil> e end", len(data))
	if got := halfClose(t, c, data); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	eventually(t, "the connection is over", func() bool { return f.Status().Connections == 0 })
	if s := f.Status(); s.Total != 1 || s.BytesIn != uint64(len(data)) || s.BytesOut != uint64(len(want)) || s.Err != nil {
		t.Errorf("Status = %+v", s)
	}
}

func TestForwardRemoteRefusedTarget(t *testing.T) {
	_, k, _ := keptBox(t)
	path := t.TempDir() + "/later"
	f := up(t, running(t, ForwardRemote, "0:"+path, k, ForwardOptions{}))
	targetComesLater(t, f, Endpoint{Host: "127.0.0.1", Port: f.Status().Listen.Port}, path)
	if s := f.Status(); s.Err != nil || s.State != ForwardUp {
		t.Errorf("Status = %+v after a success", s)
	}
}

// targetComesLater has a remote forward that listens at a place refuse a connection while there is no socket at path, and carry one when there is.
func targetComesLater(t *testing.T, f *Forward, at Endpoint, path string) {
	t.Helper()
	dial := func() net.Conn {
		network, address := at.dialled()
		c, err := net.Dial(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	if n, err := dial().Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes", n)
	}
	eventually(t, "the error is shown", func() bool { return errors.Is(f.Status().Err, os.ErrNotExist) })
	halfServer(t, "unix", path)
	if got := halfClose(t, dial(), "hello"); got != "5 <nil> hello" {
		t.Errorf("got %q once the target is there", got)
	}
}

// The far listener comes back at the same port or path after the loss of the link, and after a Restart, which the connections of other
// forwards do not notice.
func TestForwardRemoteComesBack(t *testing.T) {
	_, k, cut := keptBox(t)
	_, port, _ := net.SplitHostPort(echoServer(t))
	path := t.TempDir() + "/far"
	tcp := up(t, running(t, ForwardRemote, "0:127.0.0.1:"+port, k, ForwardOptions{}))
	unix := up(t, running(t, ForwardRemote, path+":127.0.0.1:"+port, k, ForwardOptions{}))
	at := tcp.Status().Listen
	works := func() {
		t.Helper()
		for _, e := range []Endpoint{{Host: "127.0.0.1", Port: at.Port}, {Path: path}} {
			network, address := e.dialled()
			c, err := net.Dial(network, address)
			if err != nil {
				t.Fatal(err)
			}
			if got := say(t, c, "hello"); got != "hello" {
				t.Errorf("echo %q", got)
			}
			c.Close()
		}
	}
	works()
	for range 3 {
		link, err := k.Up(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		cut()
		<-link.Done()
		if _, err := k.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "both wait or are up again", func() bool {
			return tcp.Status().State == ForwardUp && unix.Status().State == ForwardUp && tcp.Status().Err == nil && unix.Status().Err == nil
		})
		eventually(t, "the far side listens", func() bool {
			c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(at.Port))
			if err != nil {
				return false
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			_, err = io.WriteString(c, "x")
			if err == nil {
				_, err = io.ReadFull(c, make([]byte, 1))
			}
			return err == nil
		})
		if got := tcp.Status().Listen; got != at {
			t.Errorf("now at %v, was at %v", got, at)
		}
	}
	works()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say(t, c, "hello")
	total := tcp.Status().Total
	tcp.Restart()
	eventually(t, "it is up after the restart", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(at.Port))
		if err == nil {
			c.Close()
		}
		return err == nil && tcp.Status().Total > total && tcp.Status().State == ForwardUp
	})
	if got := say(t, c, "still here"); got != "still here" || tcp.Status().Listen != at {
		t.Errorf("the other forward's connection: %q; now at %v", got, tcp.Status().Listen)
	}
	works()
}

// The sshd of a lost link may hold the port for long: it is waited for, and nobody gets another one.
func TestForwardRemoteOldServerHoldsThePort(t *testing.T) {
	_, k, cut := keptBox(t)
	f := up(t, running(t, ForwardRemote, fmt.Sprintf("%d:127.0.0.1:1", freeport.On127(t)), k, ForwardOptions{}))
	at := f.Status().Listen
	link, err := k.Up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sockets := farSockets(t.Context(), link, at.Port)
	if len(sockets) == 0 || sockets[0].PID == 0 {
		t.Fatalf("sockets: %v", sockets)
	}
	holder := sockets[0].PID
	if err := syscall.Kill(holder, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(holder, syscall.SIGKILL) //nolint:errcheck // it may have ended, which is what it should
	cut()
	eventually(t, "it waits for the port", func() bool {
		s := f.Status()
		return s.State == ForwardWaiting && errors.Is(s.Err, ErrFarListen) && strings.Contains(s.Err.Error(), fmt.Sprintf("process %d's", holder))
	})
	if err := syscall.Kill(holder, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if s := up(t, f).Status(); s.Listen != at || s.Err != nil {
		t.Errorf("Status = %+v, want it at %v", s, at)
	}
}

// A port that is taken on the far side is asked for until it is free.
func TestForwardRemotePortTaken(t *testing.T) {
	_, k, _ := keptBox(t)
	_, port, _ := net.SplitHostPort(echoServer(t))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	f := running(t, ForwardRemote, fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%s", portOf(taken), port), k, ForwardOptions{})
	eventually(t, "it has failed", func() bool { return f.Status().State == ForwardFailed })
	if s := f.Status(); !errors.Is(s.Err, ErrFarListen) || !strings.Contains(hintOf(s.Err), "taken") ||
		!strings.Contains(s.Err.Error(), fmt.Sprintf("is process %d's", os.Getpid())) {
		t.Errorf("Status = %+v (%s)", s, hintOf(s.Err))
	}
	taken.Close()
	f.Restart()
	if s := up(t, f).Status(); s.Err != nil {
		t.Errorf("Status = %+v", s)
	}
}

// The port that the far side chose for an earlier process of ours is asked for again. Where it is taken, who relies on it waits for it, and in the
// end is told of another; who only had it once gets another at once.
func TestForwardRemotePortOfBefore(t *testing.T) {
	_, k, _ := keptBox(t)
	free := freeport.On127(t)
	f := up(t, running(t, ForwardRemote, "0:127.0.0.1:1", k, ForwardOptions{FarPort: free, FarPortHeld: true}))
	if s := f.Status(); s.Listen.Port != free || s.Note != "" {
		t.Errorf("Status = %+v, the port was %d", s, free)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	f = up(t, running(t, ForwardRemote, "0:127.0.0.1:1", k, ForwardOptions{FarPort: port}))
	if s := f.Status(); s.Listen.Port == port || s.Listen.Port == 0 || s.Note != "" || s.Err != nil {
		t.Errorf("Status = %+v", s)
	}
	f = running(t, ForwardRemote, "0:127.0.0.1:1", k, ForwardOptions{FarPort: port, FarPortHeld: true})
	eventually(t, "it is refused", func() bool { return f.Status().Err != nil })
	if s := f.Status(); s.State != ForwardWaiting || !errors.Is(s.Err, ErrFarListen) || !strings.Contains(s.Err.Error(), fmt.Sprintf("port %d there is process %d's", port, os.Getpid())) {
		t.Errorf("Status = %+v", s)
	}
	link, err := k.Up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	late, err := NewForward(f.spec, k, ForwardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := late.listenFar(t.Context(), link, &farPort{port: port, held: true, refused: time.Now().Add(-keepPortFor)})
	if err != nil {
		t.Fatal(err)
	}
	late.group.wait() // it has looked where the server listens
	if s := late.Status(); s.Listen.Port == port || s.Listen.Port == 0 || !strings.Contains(s.Note, fmt.Sprintf("did not give %d again", port)) {
		t.Errorf("Status = %+v", s)
	}
	l.Close()
	taken.Close()
	f.Restart()
	if s := up(t, f).Status(); s.Listen.Port != port || s.Note != "" {
		t.Errorf("Status = %+v, the port was %d", s, port)
	}
}

// sshd's GatewayPorts makes another address of what was asked for, and does not say so.
func TestForwardRemoteGatewayPorts(t *testing.T) {
	for _, test := range []struct{ setting, asked, bound, note string }{
		{"no", "0", "localhost", ""},
		{"no", "*:0", "localhost", "GatewayPorts is off"},
		{"no", "192.0.2.1:0", "localhost", "GatewayPorts is off"},
		{"no", "127.0.0.1:0", "127.0.0.1", ""},
		{"clientspecified", "0", "localhost", ""},
		{"clientspecified", "*:0", "*", ""},
		{"yes", "0", "*", "others reach"},
		{"yes", "*:0", "*", ""},
	} {
		t.Run(test.setting+" "+test.asked, func(t *testing.T) {
			_, k, _ := keptBox(t, "GatewayPorts "+test.setting)
			f := up(t, running(t, ForwardRemote, test.asked+":127.0.0.1:1", k, ForwardOptions{}))
			link, err := k.Up(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if test.note != "" {
				eventually(t, "it is noted", func() bool { return f.Status().Note != "" })
			} else {
				f.lookFar(t.Context(), link, f.Status().Listen) // once more: the first look may still be under way
			}
			if s := f.Status(); s.Listen.Host != test.bound || !strings.Contains(s.Note, test.note) || test.note == "" && s.Note != "" {
				t.Errorf("Status = %+v", s)
			}
		})
	}
}

func TestForwardRemoteForbidden(t *testing.T) {
	_, k, _ := keptBox(t, "AllowTcpForwarding no", "AllowStreamLocalForwarding no")
	for _, text := range []string{"0:127.0.0.1:1", t.TempDir() + "/far:127.0.0.1:1"} {
		f := running(t, ForwardRemote, text, k, ForwardOptions{})
		eventually(t, "it has failed", func() bool { return f.Status().State == ForwardFailed && errors.Is(f.Status().Err, ErrFarListen) })
	}
	local := running(t, ForwardLocal, "0:127.0.0.1:1", k, ForwardOptions{})
	_, _ = dialForward(t, local).Read(make([]byte, 1))
	eventually(t, "the error is shown", func() bool { return errors.Is(local.Status().Err, ErrForbidden) })
}

// A server that opens channels unasked gets nothing for it, and the connection goes on.
func TestUnaskedChannels(t *testing.T) {
	unasked := 0
	done := make(chan struct{})
	conn := connTo(t, nil, func(server ssh.Conn) {
		defer close(done)
		for _, open := range []struct {
			kind string
			data any
		}{
			{"forwarded-tcpip", struct {
				Host       string
				Port       uint32
				Origin     string
				OriginPort uint32
			}{"localhost", 22, "127.0.0.1", 1}},
			{"forwarded-streamlocal@openssh.com", struct{ Path, Reserved string }{"/tmp/x", ""}},
			{"forwarded-tcpip", struct{ Garbage string }{"x"}},
			{"x11", struct{ Origin string }{"127.0.0.1"}},
			{"auth-agent@openssh.com", struct{ X uint32 }{}},
			{"session", struct{ X uint32 }{}},
		} {
			for range 100 {
				_, _, err := server.OpenChannel(open.kind, ssh.Marshal(open.data))
				var refused *ssh.OpenChannelError
				if !errors.As(err, &refused) || refused.Reason != ssh.Prohibited {
					t.Errorf("%s: %v", open.kind, err)
				}
				unasked++
			}
		}
	})
	<-done
	if conn.far.unasked != uint64(unasked) {
		t.Errorf("%d counted, want %d", conn.far.unasked, unasked)
	}
	if _, err := conn.Ping(t.Context()); err != nil {
		t.Errorf("the connection does not live: %v", err)
	}
}

// A server that never answers a request to listen costs who asks nothing but the time that they have.
func TestListenUnanswered(t *testing.T) {
	conn := connTo(t, nil, func(ssh.Conn) {})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := conn.listen(ctx, Endpoint{Port: 8080}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("listen = %v", err)
	}
	if len(conn.far.all) != 0 {
		t.Error("the listener is still known")
	}
	for conn.far.asking < maxOwed {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		_, _ = conn.listen(ctx, Endpoint{Port: 8080})
	}
	if _, err := conn.listen(t.Context(), Endpoint{Port: 8080}); !errors.Is(err, ErrFarListen) {
		t.Errorf("listen = %v after %d requests without an answer", err, maxOwed)
	}
	if _, err := conn.Ping(t.Context()); err != nil {
		t.Errorf("the connection does not live: %v", err)
	}
}

// Connections may come before the server has said which port it took; those to another port are refused. More than wait at once are refused.
func TestIncoming(t *testing.T) {
	open := func(server ssh.Conn, port uint32) error {
		channel, requests, err := server.OpenChannel("forwarded-tcpip", ssh.Marshal(&struct {
			Host       string
			Port       uint32
			Origin     string
			OriginPort uint32
		}{"localhost", port, "127.0.0.1", 1}))
		if err == nil {
			go ssh.DiscardRequests(requests)
			channel.Close()
		}
		return err
	}
	own, foreign := make(chan error, 1), make(chan error, 1)
	servers := make(chan ssh.Conn, 1)
	conn := connTo(t, func(server ssh.Conn, r *ssh.Request) {
		go func() { foreign <- open(server, 4243) }()
		go func() { own <- open(server, 4242) }()
		time.Sleep(50 * time.Millisecond) // for both to be on their way: where they are not, this shows less
		_ = r.Reply(true, ssh.Marshal(&struct{ Port uint32 }{4242}))
	}, func(server ssh.Conn) { servers <- server })
	l, err := conn.listen(t.Context(), Endpoint{})
	if err != nil || l.Endpoint().Port != 4242 {
		t.Fatalf("listen = %v, %v", l, err)
	}
	in, err := l.Accept(t.Context())
	if err != nil || in.Address() != "localhost:4242" {
		t.Fatalf("Accept = %+v, %v", in, err)
	}
	c, err := in.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := <-own; err != nil {
		t.Errorf("the first: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if in, err := l.Accept(ctx); err == nil {
		t.Errorf("accepted %s", in.Address())
	}
	var refused *ssh.OpenChannelError
	if err := <-foreign; !errors.As(err, &refused) || refused.Reason != ssh.Prohibited {
		t.Errorf("another port: %v", err)
	}

	server, flood := <-servers, make(chan error, 3*maxIncoming)
	for range cap(flood) {
		go func() { flood <- open(server, 4242) }()
	}
	for range cap(flood) - maxIncoming {
		if err := <-flood; !errors.As(err, &refused) || refused.Reason != ssh.ResourceShortage {
			t.Errorf("one of too many: %v", err)
		}
	}
	if _, err := conn.Ping(t.Context()); err != nil {
		t.Errorf("the connection does not live: %v", err)
	}
	l.Close()
	for range maxIncoming {
		if err := <-flood; !errors.As(err, &refused) || refused.Reason != ssh.Prohibited {
			t.Errorf("one that waited when the listener was closed: %v", err)
		}
	}
	if _, err := l.Accept(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close = %v", err)
	}
}

// connTo is a connection to a server in process that answers pings, and leaves requests to listen to listen, which may be nil.
func connTo(t *testing.T, listen func(ssh.Conn, *ssh.Request), serve func(ssh.Conn)) *Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var g group
	t.Cleanup(g.wait)
	hostKey := newKey(t, "ed25519", t.TempDir()+"/host", "")
	g.spawn(func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		config := &ssh.ServerConfig{NoClientAuth: true}
		config.AddHostKey(hostKey)
		server, channels, requests, err := ssh.NewServerConn(nc, config)
		if err != nil {
			t.Error(err)
			return
		}
		g.spawn(func() {
			for r := range requests {
				switch {
				case r.Type == "keepalive@openssh.com":
					_ = r.Reply(false, nil)
				case r.Type == "tcpip-forward" && listen != nil:
					listen(server, r)
				}
			}
		})
		g.spawn(func() {
			for ch := range channels {
				_ = ch.Reject(ssh.Prohibited, "no")
			}
		})
		serve(server)
	})
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(nc)
	client, channels, requests, err := ssh.NewClientConn(w, "box", &ssh.ClientConfig{User: "me", HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		t.Fatal(err)
	}
	conn := newConn(&Hop{Alias: "box"}, w, client, channels, requests, hclog.NewNullLogger())
	t.Cleanup(func() { conn.Close() })
	return conn
}
