package broker

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/answering"
	"github.com/debugbroker/debugbroker/tunnel"
)

// speakDAP makes the plan one for DAP, and the fixture's server one that echoes.
func speakDAP(t *testing.T, f **fixture, change func(*adapters.Plan)) fakeAdapter {
	return fakeAdapter{change: func(r adapters.Request, p *adapters.Plan) {
		p.Protocol, p.OneClient = adapters.DAP, false
		if r.Mode == adapters.Port {
			p.Argv, p.Address = nil, (*f).host.endpoint
		}
		if change != nil {
			change(p)
		}
	}}
}

// attach is a front end that has come through to the server.
func attach(t *testing.T, f *fixture, s *session) net.Conn {
	t.Helper()
	answering.On(t, f.host.server, answering.Echo)
	c, err := net.Dial("tcp", s.snapshot().Local)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	const body = `{"seq":1,"type":"request","command":"initialize"}`
	message := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	if _, err := io.WriteString(c, message); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, len(message))); err != nil {
		t.Fatal(err)
	}
	return c
}

// A program that is not ours to end is let run on, even if the session is closed in the very moment in which its front end leaves.
func TestCloseWhileAFrontEndLeaves(t *testing.T) {
	for name, leave := range map[string]bool{"it has left": true, "it is there": false} {
		t.Run(name, func(t *testing.T) {
			var calls, ended atomic.Int32
			running := make(chan struct{})
			var f *fixture
			f = newFixture(t, speakDAP(t, &f, func(p *adapters.Plan) {
				p.AfterLast = func(ctx context.Context, _ adapters.Dial) error {
					if calls.Add(1) == 1 && leave {
						close(running)
						<-ctx.Done()
						return ctx.Err()
					}
					ended.Add(1)
					return nil
				}
			}))
			port := f.host.server.Addr().(*net.TCPAddr).Port
			f.host.sockets = []tunnel.Listener{{Addr: "127.0.0.1", Port: port}}
			s := f.open(t, api.OpenRequest{Port: port})
			if v := s.snapshot(); v.Error != nil {
				t.Fatal(v.Error)
			}
			c := attach(t, f, s)
			if leave {
				c.Close()
				<-running
			}
			if _, err := f.b.Close(t.Context(), s.id); err != nil {
				t.Fatal(err)
			}
			if ended.Load() != 1 {
				t.Errorf("AfterLast ran %d times and ended %d times, want once", calls.Load(), ended.Load())
			}
		})
	}
}

// While front ends read the last words of a program that has ended, close is heard.
func TestCloseWhileDraining(t *testing.T) {
	var f *fixture
	f = newFixture(t, speakDAP(t, &f, nil))
	s := f.open(t, api.OpenRequest{})
	attach(t, f, s)
	eventually(t, &s.tracker, "attached", func() bool { return s.snapshot().Clients == 1 })
	f.host.process().end(tunnel.Exit{Code: 3}, nil)
	eventually(t, &s.tracker, "exit", func() bool { return s.snapshot().Exit != nil })
	began := time.Now()
	if _, err := f.b.Close(t.Context(), s.id); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > drainWait-time.Second {
		t.Errorf("closed after %v", took)
	}
	if v := s.snapshot(); v.Phase != api.PhaseClosed || v.Exit.Code == nil || *v.Exit.Code != 3 || v.Clients != 0 {
		t.Errorf("phase %s, exit %+v, %d clients", v.Phase, v.Exit, v.Clients)
	}
}

// The time limit counts while a session opens, too.
func TestExpiryWhileOpening(t *testing.T) {
	f := newFixture(t, fakeAdapter{})
	f.b.config.Session.OpenTimeout = time.Minute
	f.host.silent = true
	v := awaitEnd(t, f.open(t, api.OpenRequest{TTL: time.Second}))
	if v.Phase != api.PhaseExpired || v.Error == nil || !strings.Contains(v.Error.Message, "time limit") || f.host.remaining() != 0 {
		t.Errorf("phase %s, error %+v, %d workspaces", v.Phase, v.Error, f.host.remaining())
	}
}
