package integration_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/answering"
	"github.com/debugbroker/debugbroker/integration/brokertest"
)

// upper answers every connection, when its client has written everything, with that in a line, and then ends: what arrives is proof that
// both directions work and that each was closed on its own. It returns where it listens.
func upper(t *testing.T, network, address string) net.Addr {
	t.Helper()
	return answering.Serve(t, network, address, inBrackets).Addr()
}

func inBrackets(c net.Conn) {
	if text, err := io.ReadAll(c); err == nil {
		fmt.Fprintf(c, "<%s>", text)
	}
}

// tcpPort is the port of a listener.
func tcpPort(a net.Addr) string { return strconv.Itoa(a.(*net.TCPAddr).Port) }

// halfCloser is a TCP or unix connection.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// says sends text and no more, and returns what comes until the other side has ended too.
func says(c net.Conn, text string) (string, error) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(40 * time.Second)) // a connection may wait for its link for 30
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	if err := c.(halfCloser).CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}

// ask connects to an address, "/path" or "host:port", and has text answered.
func ask(address, text string) (string, error) {
	network := "tcp"
	if filepath.IsAbs(address) {
		network = "unix"
	}
	c, err := net.DialTimeout(network, address, 10*time.Second)
	if err != nil {
		return "", err
	}
	return says(c, text)
}

// works demands that what listens at an address leads to upper.
func works(t *testing.T, address string) {
	t.Helper()
	if got, err := ask(address, "hello"); got != "<hello>" {
		t.Errorf("%s answered %q, %v", address, got, err)
	}
}

// forward asks for forwards, which must be kept.
func (s station) forward(t *testing.T, args ...string) []api.Forward {
	t.Helper()
	list := brokertest.JSON[[]api.Forward](s.In(t), append([]string{"forward"}, args...)...)
	for _, f := range list {
		if f.Name == "" {
			t.Fatalf("forward %q: %+v", args, f)
		}
	}
	return list
}

// forwards are what `brokerctl forwards` shows.
func (s station) forwards(t *testing.T) []api.Forward {
	t.Helper()
	return brokertest.JSON[[]api.Forward](s.In(t), "forwards")
}

// named is one of a list.
func named(t *testing.T, list []api.Forward, name string) api.Forward {
	t.Helper()
	i := slices.IndexFunc(list, func(f api.Forward) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("no forward %q in %+v", name, list)
	}
	return list[i]
}

// awaitForward waits until a forward is as cond says.
func (s station) awaitForward(t *testing.T, name, what string, cond func(api.Forward) bool) api.Forward {
	t.Helper()
	s.In(t).OK("forwards") // a daemon runs
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := api.NewClient(s.Socket())
	defer client.Close()
	var last api.Forward
	for f, err := range client.WatchForwards(ctx) {
		if err != nil {
			t.Fatalf("waiting for the forward %s to be %s: %v; it was %+v", name, what, err, last)
		}
		if f.Name == name {
			if last = f; cond(f) {
				return f
			}
		}
	}
	t.Fatalf("the forward %s was never %s, but %+v", name, what, last)
	return last
}

func (s station) awaitUp(t *testing.T, name string) api.Forward {
	t.Helper()
	return s.awaitForward(t, name, "up", func(f api.Forward) bool { return f.State == api.ForwardUp })
}

// socks5 connects to host:port through a SOCKS5 server without authentication (RFC 1928), naming the host as it is.
func socks5(proxy, host string, port int) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", proxy, 10*time.Second)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	request := append([]byte{5, 1, 0, 5, 1, 0, 3, byte(len(host))}, host...)
	request = append(request, byte(port>>8), byte(port))
	answer := make([]byte, 2+4)
	if _, err = c.Write(request); err == nil {
		_, err = io.ReadFull(c, answer)
	}
	if err == nil && answer[3] != 0 {
		err = fmt.Errorf("SOCKS answer %d", answer[3])
	}
	if err == nil {
		size := map[byte]int{1: 4, 4: 16}[answer[5]]
		if size == 0 {
			err = errors.New("an address of no kind that we know")
		} else {
			_, err = io.ReadFull(c, make([]byte, size+2))
		}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
