package bench

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/cutter"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

const (
	recoveryCount = 7
	// recoveryTimeout is how long one outage may take; what takes longer counts as that long.
	recoveryTimeout = 30 * time.Second
	// A client tries anew so often, and gives one try so long.
	tryEvery = 20 * time.Millisecond
	tryFor   = 10 * time.Second
	// What both keep watch by: a silent peer is given up after some 4 s.
	aliveInterval, aliveCount = 2, 2
)

// lane is one forward that is kept up, over a server and a line of its own, so that a fault meets it alone.
type lane struct {
	name   string
	server *sshd.Server
	line   *cutter.Proxy
	addr   string
	took   map[string]samples // by fault
}

// autosshBest is the best that autossh(1) offers: no monitoring port, since ssh watches by itself; no time that the first ssh must have lived;
// and a short poll time, by which its pauses after an ssh that lived shortly are reckoned.
var autosshBest = []string{"AUTOSSH_GATETIME=0", "AUTOSSH_PORT=0", "AUTOSSH_POLL=1"}

var faults = []struct {
	name   string
	happen func(*lane)
}{
	{"TCP reset", func(l *lane) { l.line.Cut() }},
	{"black hole", func(l *lane) { l.line.Strand() }},
	{"sshd restarted", func(l *lane) { l.server.Stop(); l.line.Cut(); l.server.Start() }},
}

func benchRecovery(b *testing.B, r *report) {
	autossh := tools.Need(b, tools.Autossh)
	lanes := []*lane{newLane(b, "brokerctl forward"), newLane(b, "autossh")}
	port := serveEcho(b)
	broker := brokertest.New(b, brokertest.Options{Server: lanes[0].server})
	lanes[0].addr = brokerForward(broker, sshd.Alias, port)
	local := freeport.On127(b)
	lanes[1].addr = "127.0.0.1:" + strconv.Itoa(local)
	start(b, autosshBest, autossh, "-F", lanes[1].server.ConfigFile(), "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes",
		"-N", "-L", fmt.Sprintf("%d:127.0.0.1:%d", local, port), sshd.Alias)
	for _, l := range lanes {
		if _, err := recovered(b.Context(), l.addr); err != nil {
			b.Fatalf("%s: %v", l.name, err)
		}
	}
	rows := [][]string{{"fault", "brokerctl forward, p50", "worst", "autossh, p50", "worst", "sooner than autossh (p50)"}}
	for _, f := range faults {
		for i := range recoveryCount {
			for j := range lanes {
				l := lanes[(i+j)%len(lanes)]
				f.happen(l)
				took, err := recovered(b.Context(), l.addr)
				if err != nil {
					took = recoveryTimeout
					r.note("%s gave no connection within %s after: %s", l.name, recoveryTimeout, f.name)
				}
				l.took[f.name] = append(l.took[f.name], took)
			}
		}
		ours, theirs := lanes[0].took[f.name], lanes[1].took[f.name]
		gain := ratio(theirs.p50(), ours.p50())
		rows = append(rows, []string{f.name, ms(ours.p50()), ms(ours.at(1)), ms(theirs.p50()), ms(theirs.at(1)), times(gain)})
	}
	r.table(fmt.Sprintf("From a fault until a new connection through the forward works, %d each, in turns", recoveryCount), rows)
	r.note("both with ServerAliveInterval %d and ServerAliveCountMax %d, which the black hole is found by; a client tries every %s", aliveInterval, aliveCount, tryEvery)
	ours, theirs := lanes[0].took[faults[0].name], lanes[1].took[faults[0].name]
	metric(b, ratio(theirs.p50(), ours.p50()), "x-autossh-reset-p50")
}

func newLane(b testing.TB, name string) *lane {
	b.Helper()
	s := sshd.New(b, sshd.Options{})
	line := cutter.New(b, s.Addr())
	s.Trust(line.Port())
	s.AddHost(sshd.Alias, "Port "+strconv.Itoa(line.Port()), fmt.Sprintf("ServerAliveInterval %d", aliveInterval), fmt.Sprintf("ServerAliveCountMax %d", aliveCount))
	return &lane{name: name, server: s, line: line, took: make(map[string]samples)}
}

// recovered is how long it takes until a connection to an echo works. A try that hangs holds no later one up.
func recovered(ctx context.Context, addr string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, recoveryTimeout)
	began := time.Now()
	up := make(chan time.Duration, 1)
	var tries sync.WaitGroup
	defer func() { cancel(); tries.Wait() }()
	tick := time.NewTicker(tryEvery)
	defer tick.Stop()
	for {
		tries.Go(func() {
			if knock(ctx, addr) != nil {
				return
			}
			select {
			case up <- time.Since(began):
			default:
			}
		})
		select {
		case took := <-up:
			return took, nil
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// knock gets one byte to an echo and back.
func knock(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	c, err := hello(ctx, addr)
	if err != nil {
		return err
	}
	return c.Close()
}
