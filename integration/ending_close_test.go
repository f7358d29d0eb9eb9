package integration_test

import (
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// TestCloseEndsEverything: server, program, workspace and ports are gone, whatever a front end does at the time.
func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	for _, k := range tickers(t) {
		t.Run(k.lang, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			situations := []struct {
				name  string
				flags []string
				front func(t *testing.T, addr string)
			}{
				{"waiting", nil, nil},
				{"running", []string{"--no-wait"}, nil},
				{"attached", nil, k.attach},
				{"paused", nil, k.pause},
			}
			for _, w := range situations {
				t.Run(w.name, func(t *testing.T) {
					s := s.in(t)
					v := s.Open(k.open("box", w.flags)...)
					if v.PID == nil || !running(*v.PID) {
						t.Fatalf("the program does not run: %+v", v)
					}
					if w.front != nil {
						w.front(t, v.Local)
					}
					s.Broker.Close(v.ID)
					gone(t, v)
					if v = s.Show(v.ID); v.Phase != api.PhaseClosed || v.Ended == nil || v.Error != nil || len(v.Left) > 0 {
						t.Errorf("after close: %+v", v)
					}
					s.Broker.Close(v.ID) // again is fine
				})
			}
		})
	}
}

// TestCloseMany closes what is asked for and tells of each.
func TestCloseMany(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	k := nodeTicker(t)
	a, b, c := s.Open(k.open("box", nil)...), s.Open(k.open("box", nil)...), s.Open(k.open("", nil)...)
	// One that is not known does not keep the others open, and decides the status.
	if r := s.Run("close", a.ID, "zzzzzz", b.ID); r.Code != 3 {
		t.Errorf("exit code %d, want 3\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	gone(t, a)
	gone(t, b)
	s.OK("close", "--all")
	gone(t, c)
	if n := len(sessions(t, s, false)); n != 0 {
		t.Errorf("%d sessions", n)
	}
}
