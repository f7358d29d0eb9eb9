package tunnel

import (
	"context"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// clockPoll is how often the clocks are compared, in waking time.
	clockPoll = 3 * time.Second
	// leastSleep is by how much a clock must have jumped for that to be a sleep; clocks are also set, by a little and often.
	leastSleep = 2 * time.Second
	// settleTime is how long after the first news of the network it is looked at: its parts change one after the other.
	settleTime = 500 * time.Millisecond
)

// Wakes probes the links of a Pool when the machine has slept or its network has become another one, after which connections may be dead
// without a word.
type Wakes struct {
	log   hclog.Logger
	probe func(reason string)
	// lead tells how far each clock that goes on in sleep is before one that stands still.
	lead    func() []time.Duration
	network func() string // what the network is; "" where there is none to ask over
	news    func() (io.ReadCloser, error)
}

// NewWakes makes a Wakes for a pool, which does nothing before its Run.
func NewWakes(pool *Pool, log hclog.Logger) *Wakes {
	if log == nil {
		log = hclog.NewNullLogger()
	}
	return &Wakes{log: log, probe: pool.Probe, lead: newClockLead(), network: networkNow, news: openNetworkNews}
}

// Run watches until ctx is done, and returns nil then. Where the system tells no news of the network, it looks every 3 s.
func (w *Wakes) Run(ctx context.Context) error {
	told := make(chan struct{}, 1)
	poll := true
	if news, err := w.news(); err != nil {
		w.log.Info("the system tells no news of the network, which is looked at instead", "error", err)
	} else {
		poll = false
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			listen(news, told)
		}()
		defer func() { _ = news.Close(); <-ended }()
	}
	tick := time.NewTicker(clockPoll)
	defer tick.Stop()
	var settled <-chan time.Time // nil while there is no news
	lead, network := w.lead(), w.network()
	for {
		slept := time.Duration(0)
		select {
		case <-ctx.Done():
			return nil
		case <-told:
			if settled == nil {
				settled = time.After(settleTime)
			}
			continue
		case <-settled: // what is told from now on may be of after the look
			settled = nil
		case <-tick.C:
			now := w.lead()
			for i := range now {
				slept = max(slept, now[i]-lead[i])
			}
			lead = now
			if slept < leastSleep && !poll {
				continue
			}
		}
		before := network
		network = w.network()
		switch {
		case network == "": // its return will be news
		case slept >= leastSleep:
			w.log.Info("the machine has slept, or its clock has jumped", "by", slept.Round(time.Second).String())
			w.probe("a sleep of " + slept.Round(time.Second).String())
		case network != before:
			w.log.Info("the network has changed")
			w.probe("a change of the network")
		}
	}
}

// listen says whenever there is news, until it is closed. News that nobody takes are one.
func listen(news io.Reader, told chan<- struct{}) {
	buf := make([]byte, 64<<10)
	for {
		_, err := news.Read(buf)
		if err != nil && !lostNews(err) {
			return
		}
		select {
		case told <- struct{}{}:
		default:
		}
	}
}
