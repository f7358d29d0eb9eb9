package answering_test

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/integration/answering"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnswers(t *testing.T) {
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		s := answering.Serve(t, network, address, answering.Echo)
		c := dial(t, s)
		if _, err := io.WriteString(c, "hello"); err != nil {
			t.Fatal(err)
		}
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
			t.Errorf("%s: %q, %v", network, got, err)
		}
	}
}

// What hangs in a connection does not hold the end up, and nothing is answered after it.
func TestClose(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error, 1)
	s := answering.Local(t, func(c net.Conn) {
		close(began)
		_, err := c.Read(make([]byte, 1))
		ended <- err
	})
	c := dial(t, s)
	<-began
	s.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection's read: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) {
		t.Errorf("the other end's read: %v", err)
	}
	if again, err := net.Dial("tcp", s.Addr().String()); err == nil {
		again.Close()
		t.Error("it still listens")
	}
	s.Close()
}

func dial(t *testing.T, s *answering.Server) net.Conn {
	t.Helper()
	c, err := net.Dial(s.Addr().Network(), s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}
