package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/answering"
	"github.com/debugbroker/debugbroker/integration/freeport"
)

// overMaster is a hop behind a real ssh as ControlMaster, and a Keeper of it. sockets is the Pool's.
func overMaster(t *testing.T, lines ...string) (hop Hop, master *os.Process, k *Keeper, sockets string) {
	t.Helper()
	_, box := testBox(t, lines...)
	hop, master = startMaster(t, box)
	sockets = filepath.Join(shortDir(t), "s")
	k, _ = keep(t, runPool(t, PoolOptions{Sockets: sockets}), NewTarget([]Hop{hop}))
	return hop, master, k, sockets
}

// nothingIn waits until a directory is empty.
func nothingIn(t *testing.T, dir string) {
	t.Helper()
	eventually(t, dir+" is empty", func() bool {
		entries, err := os.ReadDir(dir)
		return err == nil && len(entries) == 0
	})
}

// deaf waits until nobody listens at an address of the far side, which is this machine.
func deaf(t *testing.T, e Endpoint) {
	t.Helper()
	network, address := e.dialled()
	eventually(t, "nobody listens at "+address, func() bool {
		c, err := net.Dial(network, address)
		if err == nil {
			c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist)
	})
}

func local127(e Endpoint) Endpoint {
	if e.Path == "" {
		e.Host = "127.0.0.1"
	}
	return e
}

// Every way from there over a ControlMaster, 4 MB with end of file in one direction while the other goes on; nothing is left.
func TestMasterForwardRemoteWays(t *testing.T) {
	_, _, k, sockets := overMaster(t)
	dir := shortDir(t)
	tcp, unix := halfServer(t, "tcp", "127.0.0.1:0"), halfServer(t, "unix", dir+"/near")
	data := strings.Repeat("0123456789", 400_000) + "the end"
	for name, text := range map[string]string{
		"port 0 to tcp":      fmt.Sprintf("0:127.0.0.1:%d", tcp.Port()),
		"a port to tcp":      fmt.Sprintf("%d:127.0.0.1:%d", freeport.On127(t), tcp.Port()),
		"port 0 to unix":     "0:" + unix.Addr().String(),
		"all addresses":      fmt.Sprintf("*:0:127.0.0.1:%d", tcp.Port()),
		"one address":        fmt.Sprintf("127.0.0.1:0:127.0.0.1:%d", tcp.Port()),
		"unix to tcp":        fmt.Sprintf("%s:localhost:%d", dir+"/far", tcp.Port()),
		"unix to unix":       dir + "/far:" + unix.Addr().String(),
		"unix to unix again": dir + "/far:" + unix.Addr().String(),
	} {
		var at Endpoint
		t.Run(name, func(t *testing.T) {
			f := up(t, running(t, ForwardRemote, text, k, ForwardOptions{}))
			at = local127(f.Status().Listen)
			carriesBack(t, f, at, data)
		})
		if at != (Endpoint{}) {
			deaf(t, at)
		}
	}
	if _, err := os.Lstat(dir + "/far"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the far socket is left: %v", err)
	}
	nothingIn(t, sockets)
}

// What is refused over a ControlMaster is refused as without: a target that is not there, a taken port, a server that forbids it. All recover.
func TestMasterForwardRemoteRefused(t *testing.T) {
	_, _, k, sockets := overMaster(t)
	dir := shortDir(t)
	f := up(t, running(t, ForwardRemote, "0:"+dir+"/later", k, ForwardOptions{}))
	targetComesLater(t, f, local127(f.Status().Listen), dir+"/later")

	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", freeport.On127(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := running(t, ForwardRemote, fmt.Sprintf("127.0.0.1:%d:%s/later", portOf(taken), dir), k, ForwardOptions{})
	for again := range 2 {
		if again > 0 {
			busy.Restart()
		}
		eventually(t, "it has failed", func() bool {
			s := busy.Status()
			return s.State == ForwardFailed && errors.Is(s.Err, ErrFarListen) && strings.Contains(hintOf(s.Err), "taken")
		})
		if entries, _ := filepath.Glob(sockets + "/*" + claimSuffix); len(entries) != 1 { // f's own
			t.Errorf("records %q", entries)
		}
	}
	taken.Close()
	up(t, busy) // asked for again in its own time
	c, err := net.Dial("tcp", taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := halfClose(t, c, "hello"); got != "5 <nil> hello" {
		t.Errorf("got %q from the port that was taken before", got)
	}
}

func TestMasterForwardRemoteForbidden(t *testing.T) {
	_, _, k, sockets := overMaster(t, "AllowTcpForwarding no", "AllowStreamLocalForwarding no")
	for _, text := range []string{"0:127.0.0.1:1", shortDir(t) + "/far:127.0.0.1:1"} {
		f := running(t, ForwardRemote, text, k, ForwardOptions{})
		eventually(t, "it has failed", func() bool { return f.Status().State == ForwardFailed && errors.Is(f.Status().Err, ErrFarListen) })
	}
	nothingIn(t, sockets)
}

// The loss of the master resets what runs over it, and a new master at the same place brings the forward back, at the same port.
func TestMasterForwardRemoteComesBack(t *testing.T) {
	_, box := testBox(t)
	hop, master := startMaster(t, box)
	again := hop
	again.IdentityFiles, again.UserKnownHostsFiles = box.IdentityFiles, box.UserKnownHostsFiles
	k, _ := keep(t, runPool(t, PoolOptions{Sockets: filepath.Join(shortDir(t), "s")}), NewTarget([]Hop{hop}))
	ends := make(chan error, 1)
	near := answering.Serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) { _, err := io.Copy(c, c); ends <- err })
	f := up(t, running(t, ForwardRemote, fmt.Sprintf("0:127.0.0.1:%d", near.Port()), k, ForwardOptions{}))
	at := f.Status().Listen
	address := "127.0.0.1:" + strconv.Itoa(at.Port)
	for range 2 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := say(t, c, "hello"); got != "hello" {
			t.Errorf("echo %q", got)
		}
		if err := master.Kill(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the loss is noticed", func() bool { return f.Status().State == ForwardWaiting && f.Status().Connections == 0 })
		if err := <-ends; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("its target's end: %v", err)
		}
		if err := f.Status().Err; err != nil && !errors.Is(err, ErrLinkLost) && !errors.Is(err, ErrFarListen) {
			t.Errorf("Err = %v", err)
		}
		c.Close()
		if err := os.Remove(hop.ControlPath); err != nil {
			t.Fatal(err)
		}
		master = startMasterAt(t, again, hop.ControlPath)
		k.Retry()
		eventually(t, "it is up again", func() bool { return f.Status().State == ForwardUp })
		if got := f.Status().Listen; got != at {
			t.Errorf("now at %v, was at %v", got, at)
		}
	}
}

// What a process that was killed has left in a master is closed by the next one, whether it wants the same or nothing.
func TestMasterForwardLeftBehind(t *testing.T) {
	_, box := testBox(t)
	hop, _ := startMaster(t, box)
	sockets := filepath.Join(shortDir(t), "s")
	far := shortDir(t) + "/far"
	dead := killedWithForwards(t, hop.ControlPath, sockets, far)
	for _, e := range dead {
		network, address := e.dialled()
		c, err := net.Dial(network, address)
		if err != nil {
			t.Fatalf("the master does not keep the forward: %v", err)
		}
		c.Close()
	}
	k, _ := keep(t, runPool(t, PoolOptions{Sockets: sockets}), NewTarget([]Hop{hop}))
	deaf(t, dead[0])
	deaf(t, dead[1])
	nothingIn(t, sockets)
	tcp := halfServer(t, "tcp", "127.0.0.1:0")
	for _, text := range []string{fmt.Sprintf("%d:127.0.0.1:%d", dead[1].Port, tcp.Port()), fmt.Sprintf("%s:127.0.0.1:%d", far, tcp.Port())} {
		f := up(t, running(t, ForwardRemote, text, k, ForwardOptions{Unlink: true}))
		network, address := local127(f.Status().Listen).dialled()
		c, err := net.Dial(network, address)
		if err != nil {
			t.Fatal(err)
		}
		if got := halfClose(t, c, "hello"); got != "5 <nil> hello" {
			t.Errorf("got %q", got)
		}
		c.Close()
	}
}

// killedWithForwards is this test's program, killed while it has forwards in a master.
func killedWithForwards(t *testing.T, control, sockets, far string) []Endpoint {
	t.Helper()
	port := freeport.On127(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestMasterForwardHelper$")
	cmd.Env = append(os.Environ(), "DBK_TEST_MASTER="+control, "DBK_TEST_SOCKETS="+sockets, "DBK_TEST_FAR="+far, "DBK_TEST_PORT="+strconv.Itoa(port))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := readLine(t, out)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	free, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the helper says %q", line)
	}
	return []Endpoint{{Host: "127.0.0.1", Port: free}, {Host: "127.0.0.1", Port: port}, {Path: far}}
}

// TestMasterForwardHelper is the process that killedWithForwards kills.
func TestMasterForwardHelper(t *testing.T) {
	control := os.Getenv("DBK_TEST_MASTER")
	if control == "" {
		t.Skip("it is run by another test")
	}
	conn, err := (&Dialer{Sockets: os.Getenv("DBK_TEST_SOCKETS")}).Dial(t.Context(), NewTarget([]Hop{{Alias: "box", HostName: "jump.invalid", ControlPath: control}}), Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(os.Getenv("DBK_TEST_PORT"))
	if err != nil {
		t.Fatal(err)
	}
	free := 0
	for _, e := range []Endpoint{{}, {Port: port}, {Path: os.Getenv("DBK_TEST_FAR")}} {
		l, err := conn.listen(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		if e == (Endpoint{}) {
			free = l.Endpoint().Port
		}
	}
	fmt.Printf("%d\n", free)
	select {}
}

// A master that does not answer holds nobody up, and what it could not be told is told later.
func TestMasterForwardStoppedMaster(t *testing.T) {
	hop, master, _, _ := overMaster(t)
	sockets := filepath.Join(shortDir(t), "s")
	conn, err := (&Dialer{Sockets: sockets}).Dial(t.Context(), NewTarget([]Hop{hop}), Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := conn.listen(t.Context(), Endpoint{})
	if err != nil {
		t.Fatal(err)
	}
	if err := master.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if left, _ := filepath.Glob(sockets + "/*"); len(left) != 1 || !strings.HasSuffix(left[0], claimSuffix) {
		t.Errorf("left: %q", left)
	}
	if err := master.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	sweepForwards(t.Context(), sockets, "/another/master")
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.Endpoint().Port))
	if err != nil {
		t.Fatalf("not the master that was to be swept: %v", err)
	}
	c.Close()
	sweepForwards(t.Context(), sockets, hop.ControlPath)
	deaf(t, Endpoint{Host: "127.0.0.1", Port: l.Endpoint().Port})
	nothingIn(t, sockets)
}

// Two connections over one master do not take each other's place, and only the one that has it gives it back.
func TestMasterForwardTwice(t *testing.T) {
	hop, _, _, _ := overMaster(t)
	dialer := Dialer{Sockets: filepath.Join(shortDir(t), "s")}
	at := Endpoint{Host: "127.0.0.1", Port: freeport.On127(t)}
	var conns [2]*Conn
	for i := range conns {
		conn, err := dialer.Dial(t.Context(), NewTarget([]Hop{hop}), Caller{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
	}
	first, err := conns[0].listen(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conns[1].listen(t.Context(), at); !errors.Is(err, ErrFarListen) {
		t.Errorf("the second: %v", err)
	}
	conns[1].Close()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", at.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in, err := first.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	far, err := in.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(far, make([]byte, 5)); err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	first.Close()
	deaf(t, at)
}

// A far unix socket over a master that knows no other way: 4 MB each way, end of file in one direction, one that is not there, and nothing left.
func TestMasterFarSocket(t *testing.T) {
	hop, _, _, _ := overMaster(t)
	sockets := filepath.Join(shortDir(t), "s")
	conn, err := (&Dialer{Sockets: sockets}).Dial(t.Context(), NewTarget([]Hop{hop}), Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	path := shortDir(t) + "/far"
	if _, err := conn.Dial(t.Context(), "unix", path); !errors.Is(err, ErrFarDial) {
		t.Errorf("dial to no socket: %v", err)
	}
	answering.Serve(t, "unix", path, func(c net.Conn) {
		data, err := io.ReadAll(c)
		if err == nil {
			_, _ = c.Write(data)
		}
	})
	data := strings.Repeat("0123456789", 400_000) + "the end"
	for range 3 {
		c, err := conn.Dial(t.Context(), "unix", path)
		if err != nil {
			t.Fatal(err)
		}
		nothingIn(t, sockets)
		if got := halfClose(t, c, data); got != data {
			t.Errorf("%d bytes came back of %d", len(got), len(data))
		}
		c.Close()
	}
	if _, err := conn.Dial(t.Context(), "unix", path+"2"); !errors.Is(err, ErrFarDial) {
		t.Errorf("dial to no socket, later: %v", err)
	}
	nothingIn(t, sockets)
}

// A far socket's connection that a killed master takes along is lost, and has not come to its end.
func TestMasterFarSocketLost(t *testing.T) {
	_, master, k, _ := overMaster(t)
	path := shortDir(t) + "/far"
	answering.Serve(t, "unix", path, answering.Echo)
	c, err := k.Dial(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := say(t, c, "hello"); got != "hello" {
		t.Errorf("echo %q", got)
	}
	if err := master.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrLinkLost) {
		t.Errorf("Read = %v", err)
	}
}
