package tunnel

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// fakeMachine is a machine that sleeps and changes its network at will.
type fakeMachine struct {
	mu      sync.Mutex
	slept   time.Duration
	network string
	probes  []string
	news    *io.PipeWriter // nil where the system tells none
}

func (m *fakeMachine) sleep(d time.Duration) { m.mu.Lock(); defer m.mu.Unlock(); m.slept += d }

// move changes the network, and tells of it in as many words as given.
func (m *fakeMachine) move(network string, words int) {
	m.mu.Lock()
	m.network = network
	m.mu.Unlock()
	for range words {
		_, _ = m.news.Write([]byte("x"))
	}
}

func (m *fakeMachine) heard() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.probes)
}

// watch runs a Wakes on the machine, inside a bubble.
func (m *fakeMachine) watch(t *testing.T, quiet bool) {
	w := &Wakes{
		log:     hclog.NewNullLogger(),
		probe:   func(reason string) { m.mu.Lock(); defer m.mu.Unlock(); m.probes = append(m.probes, reason) },
		lead:    func() []time.Duration { m.mu.Lock(); defer m.mu.Unlock(); return []time.Duration{m.slept, 0} },
		network: func() string { m.mu.Lock(); defer m.mu.Unlock(); return m.network },
		news: func() (io.ReadCloser, error) {
			if quiet {
				return nil, errors.ErrUnsupported
			}
			r, wr := io.Pipe()
			m.news = wr
			return r, nil
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	synctest.Wait()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func (m *fakeMachine) want(t *testing.T, probes ...string) {
	t.Helper()
	synctest.Wait()
	if got := m.heard(); !slices.Equal(got, probes) {
		t.Errorf("probes = %q, want %q", got, probes)
	}
}

func TestWakesAfterSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &fakeMachine{network: "home"}
		m.watch(t, false)
		time.Sleep(24 * time.Hour)
		m.sleep(time.Second) // a clock that was set
		time.Sleep(clockPoll)
		m.want(t)
		m.sleep(time.Hour)
		time.Sleep(clockPoll)
		m.want(t, "a sleep of 1h0m0s")
		time.Sleep(24 * time.Hour)
		m.want(t, "a sleep of 1h0m0s")
		m.sleep(-time.Hour) // set back: no sleep
		time.Sleep(clockPoll)
		m.want(t, "a sleep of 1h0m0s")
		// Without a network there is nobody to ask: every link would be given up that may still be well.
		m.move("", 1)
		m.sleep(time.Minute)
		time.Sleep(clockPoll)
		m.want(t, "a sleep of 1h0m0s")
		m.move("home", 1)
		time.Sleep(settleTime)
		m.want(t, "a sleep of 1h0m0s", "a change of the network")
	})
}

func TestWakesStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &fakeMachine{network: "home"}
		m.watch(t, false)
		m.move("home", 1000) // of no account
		time.Sleep(time.Minute)
		m.want(t)
		began := time.Now()
		for i := range 100 { // 10 s of unrest
			m.move("train "+string(rune('0'+i%10)), 20)
			time.Sleep(100 * time.Millisecond)
		}
		m.move("hotel", 1) // the last word must be heard too
		time.Sleep(settleTime)
		synctest.Wait()
		most := int(time.Since(began)/settleTime) + 1
		if n := len(m.heard()); n < 2 || n > most {
			t.Errorf("%d probes, want at most %d", n, most)
		}
		before := len(m.heard())
		m.move("hotel", 1)
		time.Sleep(time.Minute)
		if n := len(m.heard()); n != before {
			t.Error("the last change was not looked at by then")
		}
	})
}

// Where the system tells nothing, the network is looked at.
func TestWakesWithoutNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &fakeMachine{network: "home"}
		m.watch(t, true)
		time.Sleep(time.Hour)
		m.want(t)
		m.move("hotel", 0)
		time.Sleep(clockPoll)
		m.want(t, "a change of the network")
	})
}

func TestClockLead(t *testing.T) {
	lead := newClockLead()
	first := lead()
	if len(first) == 0 {
		t.Fatal("no clock")
	}
	for i, later := range lead() {
		if d := later - first[i]; d < -leastSleep || d > leastSleep {
			t.Errorf("clock %d is %s ahead, and the machine has not slept", i, d)
		}
	}
}
