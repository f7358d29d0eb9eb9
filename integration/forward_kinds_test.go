package integration_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// TestForwardKinds has each kind of forward lead each way, TCP and unix sockets on either side, with half-close.
func TestForwardKinds(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	dir, err := os.MkdirTemp("/tmp", "fk-") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := func(name string) string { return filepath.Join(dir, name) }
	tcp, unix := "localhost:"+tcpPort(upper(t, "tcp", "127.0.0.1:0")), upper(t, "unix", path("target")).String()
	for _, tt := range []struct{ flag, spec string }{
		{"-L", "0:" + tcp},
		{"-L", "127.0.0.1:0:" + unix},
		{"-L", path("l1") + ":" + tcp},
		{"-L", path("l2") + ":" + unix},
		{"-R", "0:" + tcp},
		{"-R", "127.0.0.1:" + strconv.Itoa(freeport.On127(t)) + ":" + unix},
		{"-R", path("r1") + ":" + tcp},
		{"-R", path("r2") + ":" + unix},
	} {
		t.Run(tt.flag+" "+tt.spec, func(t *testing.T) {
			f := s.forward(t, "box", tt.flag, tt.spec)[0]
			if f.State != api.ForwardUp || f.Error != nil || f.Host != "box" || f.Kind != map[string]string{"-L": "local", "-R": "remote"}[tt.flag] {
				t.Errorf("%+v", f)
			}
			if strings.HasSuffix(f.Listen, ":0") {
				t.Errorf("listens on port 0: %+v", f)
			}
			works(t, f.Listen)
			after := s.awaitForward(t, f.Name, "done", func(f api.Forward) bool { return f.Connections == 0 && f.Total == 1 })
			in, out := uint64(len("<hello>")), uint64(len("hello")) // from the host, and to it
			if tt.flag == "-R" {
				in, out = out, in
			}
			if after.BytesIn != in || after.BytesOut != out || after.Error != nil {
				t.Errorf("%+v", after)
			}
		})
	}
	t.Run("-D", func(t *testing.T) {
		f := s.forward(t, "box", "-D", "0")[0]
		host, port, _ := strings.Cut(tcp, ":")
		n, _ := strconv.Atoi(port)
		c, err := socks5(f.Listen, host, n)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := says(c, "hello"); got != "<hello>" {
			t.Errorf("%q, %v", got, err)
		}
		if f.Target != "" || f.Kind != "socks" {
			t.Errorf("%+v", f)
		}
	})
	s.OK("unforward", "--all")
	if left := s.forwards(t); len(left) > 0 {
		t.Errorf("left: %+v", left)
	}
	for _, name := range []string{"l1", "l2", "r1", "r2"} {
		if _, err := os.Lstat(path(name)); err == nil {
			t.Errorf("the socket %s is left", name)
		}
	}
}

// TestForwardRefusedDestination: it is that one connection's trouble, and is told.
func TestForwardRefusedDestination(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	good := upper(t, "tcp", "127.0.0.1:0")
	list := s.forward(t, "box", "-L", "0:127.0.0.1:"+tcpPort(good), "-L", "0:127.0.0.1:"+strconv.Itoa(closedPort(t)), "-D", "0")
	long, err := net.Dial("tcp", list[0].Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()
	if got, err := ask(list[1].Listen, "hello"); err == nil && got != "" {
		t.Errorf("nobody answered %q", got)
	}
	if _, err := socks5(list[2].Listen, "127.0.0.1", closedPort(t)); err == nil {
		t.Error("the SOCKS server connected to a port that nobody has")
	}
	bad := s.awaitForward(t, list[1].Name, "failing", func(f api.Forward) bool { return f.Error != nil })
	if bad.State != api.ForwardUp || bad.Error.Code != api.CodeNotFound {
		t.Errorf("%+v", bad)
	}
	works(t, list[0].Listen)
	if got, err := says(long, "still here"); got != "<still here>" {
		t.Errorf("the connection that was open: %q, %v", got, err)
	}
	if f := named(t, s.forwards(t), list[0].Name); f.Error != nil {
		t.Errorf("%+v", f)
	}
}

// TestForwardListensElsewhere: where the host's sshd listens on other addresses than it was asked to, forward says so, and forwards too.
func TestForwardListensElsewhere(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]struct{ asked, listen, note string }{
		"yes": {"0", "*", "others reach this forward"},
		"no":  {"*:0", "localhost", "GatewayPorts is off"},
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			s := newStation(t, sshd.Options{Lines: []string{"GatewayPorts " + setting}}, "")
			target := "localhost:" + tcpPort(upper(t, "tcp", "127.0.0.1:0"))
			if r := s.OK("forward", "box", "-R", want.asked+":"+target, "--name", "back"); !strings.Contains(r.Stdout, "box:"+want.listen+":") || !strings.Contains(r.Stderr, "warning: back: ") || !strings.Contains(r.Stderr, want.note) {
				t.Errorf("forward says %s%s", r.Stdout, r.Stderr)
			}
			if r := s.OK("forwards"); !strings.Contains(r.Stdout, " NOTE\n") || !strings.Contains(r.Stdout, want.note) {
				t.Errorf("forwards says %s", r.Stdout)
			}
			f := named(t, s.forwards(t), "back")
			if !strings.Contains(f.Note, want.note) || f.Error != nil {
				t.Errorf("%+v", f)
			}
			works(t, "127.0.0.1:"+f.Listen[strings.LastIndexByte(f.Listen, ':')+1:])
			s.sshd.Stop()
			if f := s.awaitForward(t, "back", "waiting", func(f api.Forward) bool { return f.State == api.ForwardWaiting }); f.Note != "" {
				t.Errorf("nothing listens, and of where it does: %+v", f)
			}
		})
	}
}

// TestForwardRestart: one forward's connections end, its port stays, and the others' go on.
func TestForwardRestart(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	port := tcpPort(upper(t, "tcp", "127.0.0.1:0"))
	list := s.forward(t, "box", "-L", "0:127.0.0.1:"+port, "-L", "0:localhost:"+port, "--name", "a")
	var conns []net.Conn
	for _, f := range list {
		c, err := net.Dial("tcp", f.Listen)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
		s.awaitForward(t, f.Name, "in use", func(f api.Forward) bool { return f.Connections == 1 })
	}
	again := brokertest.JSON[[]api.Forward](s.Broker, "forward", "--restart", "a")
	if again[0].Listen != list[0].Listen {
		t.Errorf("%+v", again)
	}
	if got, err := says(conns[0], "hello"); err == nil {
		t.Errorf("a connection of the restarted forward answers %q", got)
	}
	if got, err := says(conns[1], "hello"); got != "<hello>" {
		t.Errorf("a connection of the other one: %q, %v", got, err)
	}
	works(t, list[0].Listen)
	s.Fails(3, "forward", "--restart", "nope")
}
