package cutter_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/integration/answering"
	"github.com/debugbroker/debugbroker/integration/cutter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func echo(t *testing.T) string {
	t.Helper()
	return answering.Local(t, answering.Echo).Addr().String()
}

func dial(t *testing.T, p *cutter.Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func roundTrip(c net.Conn, text string) error {
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	buf := make([]byte, len(text))
	if _, err := io.ReadFull(c, buf); err != nil {
		return err
	}
	if string(buf) != text {
		return errors.New("got " + string(buf))
	}
	return nil
}

func TestForwardsEveryByteAndHalfCloses(t *testing.T) {
	c := dial(t, cutter.New(t, echo(t)))
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	go func() {
		c.Write(sent)
		c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("got %d bytes, %v; want the %d that were sent", len(got), err, len(sent))
	}
}

func TestCutResetsAndServesAgain(t *testing.T) {
	p := cutter.New(t, echo(t))
	c := dial(t, p)
	if err := roundTrip(c, "a"); err != nil {
		t.Fatal(err)
	}
	if n := p.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	p.Cut()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read after the cut: %v, want ECONNRESET", err)
	}
	if err := roundTrip(dial(t, p), "b"); err != nil {
		t.Errorf("a new connection after the cut: %v", err)
	}
}

func TestBlackHoleSwallowsUntilHealed(t *testing.T) {
	p := cutter.New(t, echo(t))
	c := dial(t, p)
	if err := roundTrip(c, "a"); err != nil {
		t.Fatal(err)
	}
	p.BlackHole()
	fresh := dial(t, p)
	for _, conn := range []net.Conn{c, fresh} {
		conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if err := roundTrip(conn, "b"); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("in the black hole: %v, want a timeout", err)
		}
	}
	p.Heal()
	for _, conn := range []net.Conn{c, fresh} {
		conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		buf := make([]byte, 1)
		if _, err := conn.Read(buf); err != nil || buf[0] != 'b' {
			t.Errorf("after the black hole: %q, %v", buf, err)
		}
	}
}

func TestDelayHoldsBackEachWay(t *testing.T) {
	p := cutter.New(t, echo(t))
	c := dial(t, p)
	if err := roundTrip(c, "a"); err != nil {
		t.Fatal(err)
	}
	const delay = 60 * time.Millisecond
	p.Delay(delay)
	start := time.Now()
	if err := roundTrip(c, "b"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 2*delay {
		t.Errorf("a round trip took %s, want at least %s", took, 2*delay)
	}
}

func TestATargetThatRefusesResetsTheClient(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c, err := net.Dial("tcp", cutter.New(t, l.Addr().String()).Addr())
	if err == nil { // the reset may come before or after the connection is known to be up
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want ECONNRESET", err)
	}
}

// Whole chunks would be read in some ten pieces.
func TestDribbleTearsApartAndLosesNothing(t *testing.T) {
	p := cutter.New(t, echo(t))
	p.Dribble(true)
	c := dial(t, p)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	var writer sync.WaitGroup
	writer.Go(func() { c.Write(sent); c.CloseWrite() })
	defer writer.Wait()
	var got bytes.Buffer
	reads, buf := 0, make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			break
		}
		reads++
	}
	if !bytes.Equal(got.Bytes(), sent) || reads < 64 {
		t.Errorf("%d bytes of %d in %d reads", got.Len(), len(sent), reads)
	}
	p.Dribble(false)
	if err := roundTrip(dial(t, p), "whole again"); err != nil {
		t.Error(err)
	}
}

func TestStrandedConnectionsStayOpenAndNewOnesAreServed(t *testing.T) {
	p := cutter.New(t, echo(t))
	c := dial(t, p)
	if err := roundTrip(c, "a"); err != nil {
		t.Fatal(err)
	}
	p.Strand()
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if err := roundTrip(c, "b"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("stranded: %v, want a timeout", err)
	}
	if err := roundTrip(dial(t, p), "c"); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}
