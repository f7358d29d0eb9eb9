package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// diary notes what happens in which order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) write(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, s)
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

func roundTrip(t *testing.T, c net.Conn) {
	t.Helper()
	m := frame(initialize)
	if _, err := io.WriteString(c, m); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, len(m))); err != nil {
		t.Fatal(err)
	}
}

func TestRounds(t *testing.T) {
	var d diary
	dial := server(t, echo)
	inAfter, goOn := make(chan struct{}), make(chan struct{})
	r := start(t, Config{
		Protocol:    "dap",
		BeforeFirst: func(context.Context) error { d.write("before"); return nil },
		Dial:        func(ctx context.Context) (net.Conn, error) { d.write("dial"); return dial(ctx) },
		AfterLast: func(ctx context.Context) error {
			d.write("after")
			if _, ok := ctx.Deadline(); !ok {
				t.Error("AfterLast has no bound")
			}
			select {
			case inAfter <- struct{}{}:
				select {
				case <-goOn:
				case <-ctx.Done():
				}
			case <-ctx.Done(): // the last round, when the test is over
			}
			d.write("after ended")
			return errors.New("it did not work") // does not stand in anyone's way
		},
	})
	a, b := r.connect(t), r.connect(t)
	roundTrip(t, a)
	roundTrip(t, b)
	a.Close()
	r.awaitClients(t, 1)
	if got := d.read(); !slices.Equal(got, []string{"before", "dial", "dial"}) {
		t.Fatalf("one is still there, and yet: %v", got)
	}
	b.Close()
	<-inAfter
	c := r.connect(t)
	if _, err := io.WriteString(c, frame(initialize)); err != nil {
		t.Fatal(err)
	}
	// The newcomer has been taken in once nobody is pending; it must not have been let through.
	eventually(t, "newcomer", func() bool { return len(r.pending) == 0 })
	if n := r.dialled(); n != 2 {
		t.Fatalf("dialled %d times while AfterLast ran", n)
	}
	goOn <- struct{}{}
	if _, err := io.ReadFull(c, make([]byte, len(frame(initialize)))); err != nil {
		t.Fatal(err)
	}
	want := []string{"before", "dial", "dial", "after", "after ended", "before", "dial"}
	if got := d.read(); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	r.await(t, "clients 1, 2, 1, 0, 1", func() bool { return slices.Equal(r.clients, []int{1, 2, 1, 0, 1}) })
}

func TestNoAfterLast(t *testing.T) {
	fail := func(context.Context) error { t.Error("AfterLast ran"); return nil }
	t.Run("when nobody reached the server", func(t *testing.T) {
		r := start(t, Config{Protocol: "dap", AfterLast: fail, Dial: func(context.Context) (net.Conn, error) { return nil, io.ErrClosedPipe }})
		refused(t, r.front(t).request("initialize", nil), "closed pipe")
	})
	t.Run("when BeforeFirst failed", func(t *testing.T) {
		r := start(t, Config{Protocol: "dap", AfterLast: fail, Dial: server(t, echo),
			BeforeFirst: func(context.Context) error { return errors.New("not now") }})
		refused(t, r.front(t).request("initialize", nil), "not now")
		refused(t, r.front(t).request("initialize", nil), "not now") // and again: the round did not begin
	})
	t.Run("when the session closes", func(t *testing.T) {
		var c net.Conn
		t.Cleanup(func() { c.Close() }) // after start's: it is still there when the Proxy ends
		r := start(t, Config{Protocol: "dap", AfterLast: fail, Dial: server(t, echo)})
		var err error
		if c, err = net.Dial("tcp4", r.addr); err != nil {
			t.Fatal(err)
		}
		roundTrip(t, c)
	})
	t.Run("when the program has ended", func(t *testing.T) {
		r := start(t, Config{Protocol: "dap", AfterLast: fail, Dial: server(t, echo)})
		roundTrip(t, r.connect(t))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.Drain(ctx)
	})
}

func TestDrain(t *testing.T) {
	release := make(chan struct{})
	r := start(t, Config{Protocol: "dap", Dial: server(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1000))
		<-release
		_, _ = io.WriteString(c, frame(`{"type":"event","event":"exited"}`)+frame(`{"type":"event","event":"terminated"}`))
	})})
	f, silent := r.front(t), r.connect(t)
	f.send("initialize", nil)
	r.awaitClients(t, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		r.Drain(ctx)
	}()
	ended(t, silent) // has not attached: nothing is on its way to it
	late := r.connect(t)
	_, _ = io.WriteString(late, frame(initialize))
	ended(t, late)
	select {
	case <-drained:
		t.Fatal("drained while a front end was there")
	default:
	}
	close(release)
	f.event("exited")
	f.event("terminated")
	ended(t, f)
	f.Close()
	<-drained
}

func TestDrainIsBounded(t *testing.T) {
	r := start(t, Config{Protocol: "dap", Dial: server(t, echo)})
	c := r.connect(t)
	roundTrip(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.Drain(ctx)
	ended(t, c)
}

// A front end that never reads does not keep Run from returning.
func TestRunReturnsWhateverPeersDo(t *testing.T) {
	r := start(t, Config{Protocol: "dap", Dial: server(t, func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, frame(`{"type":"event","event":"output"}`)); err != nil {
				return
			}
		}
	})})
	_, _ = io.WriteString(r.connect(t), frame(initialize))
	r.awaitClients(t, 1) // start's clean-up waits for Run
}

// pipeListener hands out in-memory connections, whose deadlines follow synctest's clock.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (l *pipeListener) connect() net.Conn {
	a, b := net.Pipe()
	l.conns <- b
	return a
}

func TestSlowloris(t *testing.T) {
	for protocol, drip := range map[string]string{
		"dap": "Content-Length: 100\r\n\r\n" + initialize, "cdp": "GET /json HTTP/1.1\r\nHost: localhost\r\nX: yyyyyyyyyyyyyyyyyy", "jdwp": "JDWP-Handshak",
	} {
		synctest.Test(t, func(t *testing.T) {
			ln := newPipeListener()
			start(t, Config{Listener: ln, Protocol: protocol, Dial: func(context.Context) (net.Conn, error) {
				t.Error("the server was dialled")
				return nil, io.ErrClosedPipe
			}})
			began := time.Now()
			c := ln.connect()
			dripped := make(chan struct{})
			go func() {
				defer close(dripped)
				for _, b := range []byte(drip) {
					time.Sleep(10 * time.Second)
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
				}
			}()
			_, _ = io.Copy(io.Discard, c)
			if took := time.Since(began); took > firstBytes+writeTime {
				t.Errorf("%s: closed after %v", protocol, took)
			}
			c.Close()
			<-dripped
		})
	}
}

func TestPendingConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		r := start(t, Config{Listener: ln, Protocol: "dap", Dial: func(context.Context) (net.Conn, error) { return nil, io.ErrClosedPipe }})
		var open []net.Conn
		for range maxPending {
			open = append(open, ln.connect())
		}
		over := ln.connect()
		if _, err := over.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("one too many: got %v, want io.EOF", err)
		}
		r.awaitEvent(t, "refused: too many")
		open[0].Close() // makes room
		synctest.Wait()
		again := ln.connect()
		synctest.Wait()
		if err := again.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := again.Read(make([]byte, 1)); err == io.EOF {
			t.Fatal("refused although there is room")
		}
		for _, c := range append(open, again) {
			c.Close()
		}
	})
}

func TestRefusalsDoNotFloodTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		e := events{log: hclog.NewNullLogger(), onEvent: func(_, text string) { told = append(told, text) }}
		for range 1000 {
			e.refused("no")
		}
		time.Sleep(spell + time.Second)
		e.refused("no")
		if len(told) != refusalsPerSpell+2 || told[refusalsPerSpell] != "980 further connections" {
			t.Fatalf("told %d: %q", len(told), told[max(0, len(told)-3):])
		}
	})
}

// Who ends the Proxy must know whether the program is still in the hands of a front end.
func TestUnsettled(t *testing.T) {
	var there net.Conn // stays longer than Run
	for name, c := range map[string]struct {
		come func(t *testing.T, r *rig)
		want bool
	}{
		"nobody came": {func(*testing.T, *rig) {}, false},
		"one is there": {func(t *testing.T, r *rig) {
			c, err := net.Dial("tcp4", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			there = c
			roundTrip(t, c)
		}, true},
		"one has gone": {func(t *testing.T, r *rig) {
			c := r.connect(t)
			roundTrip(t, c)
			c.Close()
			eventually(t, "end of AfterLast", func() bool { return !r.Unsettled() })
		}, false},
		"the program has ended": {func(t *testing.T, r *rig) {
			roundTrip(t, r.connect(t))
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			r.Drain(ctx)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var r *rig
			there = nil
			t.Cleanup(func() { // after start's
				if there != nil {
					there.Close()
				}
				if got := r.Unsettled(); got != c.want {
					t.Errorf("Unsettled = %v, want %v", got, c.want)
				}
			})
			r = start(t, Config{Protocol: "dap", Dial: server(t, echo), AfterLast: func(context.Context) error { return nil }})
			c.come(t, r)
		})
	}
	t.Run("AfterLast was cut off", func(t *testing.T) {
		var r *rig
		t.Cleanup(func() {
			if !r.Unsettled() {
				t.Error("AfterLast did not end, and yet nothing is owed")
			}
		})
		running := make(chan struct{})
		r = start(t, Config{Protocol: "dap", Dial: server(t, echo), AfterLast: func(ctx context.Context) error {
			close(running)
			<-ctx.Done()
			return ctx.Err()
		}})
		c := r.connect(t)
		roundTrip(t, c)
		c.Close()
		<-running
	})
}

// A panic over one connection is the end of that one alone.
func TestPanicEndsOneConnection(t *testing.T) {
	n := 0
	dial := server(t, echo)
	r := start(t, Config{Protocol: "dap", Dial: func(ctx context.Context) (net.Conn, error) {
		switch n++; n {
		case 1:
			panic("dial")
		case 2:
			c, err := dial(ctx)
			return panicky{c}, err
		}
		return dial(ctx)
	}})
	for range 2 {
		c := r.connect(t)
		if _, err := io.WriteString(c, frame(initialize)); err != nil {
			t.Fatal(err)
		}
		ended(t, c)
		c.Close()
	}
	roundTrip(t, r.connect(t))
	r.awaitEvent(t, "refused: the broker has a bug")
	r.awaitClients(t, 1)
}

// panicky is a connection whose reader panics.
type panicky struct{ net.Conn }

func (panicky) Read([]byte) (int, error) { panic("read") }
