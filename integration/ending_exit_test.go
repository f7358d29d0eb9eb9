package integration_test

import (
	"syscall"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// TestProgramsOwnEnd is seen with its status, with a front end and without one.
func TestProgramsOwnEnd(t *testing.T) {
	t.Parallel()
	s := newStation(t, sshd.Options{}, "")
	s.clean(t)
	for _, k := range tickers(t) {
		t.Run(k.lang, func(t *testing.T) {
			t.Parallel()
			const long = "40" // ticks, longer than `open` looks for a program that ends at once
			ways := []struct {
				name  string
				flags []string
				front func(t *testing.T, addr string)
				args  []string
				kill  bool
				want  string
			}{
				{"0 without a front end", []string{"--no-wait"}, nil, []string{long}, false, "0"},
				{"3 without a front end", []string{"--no-wait"}, nil, []string{long, "3"}, false, "3"},
				{"3 with a front end", nil, k.attach, []string{"5", "3"}, false, "3"},
				{"killed without a front end", []string{"--no-wait"}, nil, nil, true, "KILL"},
				{"killed with a front end", nil, k.attach, nil, true, "KILL"},
			}
			for _, w := range ways {
				t.Run(w.name, func(t *testing.T) {
					s := s.in(t)
					v := s.Open(k.open("box", w.flags, w.args...)...)
					if w.front != nil {
						w.front(t, v.Local)
					}
					if w.kill {
						if err := syscall.Kill(*v.PID, syscall.SIGKILL); err != nil {
							t.Fatal(err)
						}
					}
					end := s.Await(v.ID, "the program has ended", func(v api.Session) bool { return v.Phase.Ended() })
					if end.Phase != api.PhaseClosed || end.Error != nil || len(end.Left) > 0 || exitText(end.Exit) != w.want {
						t.Errorf("phase %s, exit %s, want %s; error %+v, left %q", end.Phase, exitText(end.Exit), w.want, end.Error, end.Left)
					}
					gone(t, end)
				})
			}
		})
	}
}
