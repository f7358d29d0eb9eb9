package bench

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/sandbox"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

const (
	attachCount  = 5
	attachWarmUp = 1
	// attachBudget ends the taking of samples of a language early on a machine that is slower than any that was seen.
	attachBudget = 3 * time.Minute
)

// parts of a visit, in each of which the program may stand still.
var parts = []string{"open", "front end", "breakpoint", "leave", "close"}

// turns are all visits in one way.
type turns struct {
	name            string
	open            func(p *pacer, port int) (addr string, end func())
	ready, attached samples
	still           [5]samples // by parts
	longest         samples    // of each visit
	bystander       samples    // what a program that nobody touches lost in the same time
}

func benchAttaches(b *testing.B, r *report) {
	ssh := tools.Need(b, tools.SSH)
	times1 := [][]string{{"language", "by hand", "open --pid", "against hand", "by hand, front end in", "open --pid, front end in", "against hand"}}
	head := append([]string{"language", "way"}, parts...)
	still := [][]string{append(head, "longest, p50", "worst", "bystander, p50", "worst")}
	for lang, prepare := range runnings() {
		b.Run(lang, func(b *testing.B) {
			hand, broker := benchAttach(b, ssh, prepare(b))
			times1 = append(times1, []string{
				lang, ms(hand.ready.p50()), ms(broker.ready.p50()), times(ratio(hand.ready.p50(), broker.ready.p50())),
				ms(hand.attached.p50()), ms(broker.attached.p50()), times(ratio(hand.attached.p50(), broker.attached.p50())),
			})
			still = append(still, hand.row(lang), broker.row(""))
		})
	}
	r.table(fmt.Sprintf("From the command to a running program's debug server, and until a front end is in, p50 of %d each, in turns (1.0x: as fast as by hand; more is faster)", attachCount), times1)
	r.note("by hand: one ssh -L with the command that attaches. debugpy comes into the program when a front end comes to a session, but with the command by hand;")
	r.note("Delve by hand is there when the program runs again: a front end that comes before, as the words say it may, can hang. The front end of java")
	r.note("is jdb, whose own start counts")
	r.table("The longest time that the program stands still, p50 of the same visits", still)
	r.note("the program's turns take 1 ms and a little more; a bystander is the same program in the same time, which nobody touches")
}

func (t *turns) row(lang string) []string {
	row := []string{lang, t.name}
	for _, s := range t.still {
		row = append(row, ms(s.p50()))
	}
	return append(row, ms(t.longest.p50()), ms(t.longest.at(1)), ms(t.bystander.p50()), ms(t.bystander.at(1)))
}

func benchAttach(b *testing.B, ssh string, k running) (hand, broker *turns) {
	env := map[string]string{}
	if k.lang == "python" {
		env["PATH"] = tools.NeedGdb(b)
	}
	s := sshd.New(b, sshd.Options{Env: env})
	warm := brokertest.New(b, brokertest.Options{Server: s})
	hand = &turns{name: "by hand", open: func(p *pacer, port int) (string, func()) {
		c, addr := overSSH(b, s, ssh, port, k.hand(p.pid(), port))
		if k.inProgram {
			p.await(k.ready)
		} else {
			c.await(k.ready)
		}
		if k.settled != nil {
			k.settled(b, port)
		}
		return addr, func() { c.endServer(k.ends) }
	}}
	broker = &turns{name: "brokerctl", open: func(p *pacer, _ int) (string, func()) {
		v := warm.Open(append([]string{"box:" + k.lang, "--pid", strconv.Itoa(p.pid())}, k.open...)...)
		return v.Local, func() { closeRunning(b, warm, v.ID) }
	}}
	mark := []string{sandbox.MarkVariable + "=" + s.Mark()} // debugpy's adapter is a child of the program, and outlives it
	bystander := startPacer(b, mark, k.argv(freeport.On127(b)))
	ways := []*turns{hand, broker}
	began := time.Now()
	for i := range attachWarmUp + attachCount {
		if time.Since(began) > attachBudget && i > attachWarmUp {
			break
		}
		for j := range ways {
			port := freeport.On127(b)
			p := startPacer(b, mark, k.argv(port))
			ways[(i+j)%len(ways)].take(b, k, p, bystander, port, i >= attachWarmUp)
			p.stop()
			endAdapters(b, s)
		}
	}
	metric(b, ratio(hand.attached.p50(), broker.attached.p50()), "x-hand-attached")
	b.ReportMetric(ratio(hand.longest.p50(), broker.longest.p50()), "x-hand-still")
	return hand, broker
}

// take makes one visit to a fresh program, since some ways work once a process.
func (t *turns) take(b testing.TB, k running, p, bystander *pacer, port int, counts bool) {
	var still [len(t.still)]time.Duration
	bystander.longest() // from here on
	p.longest()
	began := time.Now()
	addr, end := t.open(p, port)
	ready := time.Since(began)
	still[0] = p.longest()
	v := k.visit(b, addr)
	attached := time.Since(began)
	still[1] = p.longest()
	for i, part := range []func(){v.breakpoint, v.leave, end} {
		part()
		still[2+i] = p.longest()
	}
	other := bystander.longest()
	if !counts {
		return
	}
	t.ready, t.attached = append(t.ready, ready), append(t.attached, attached)
	var longest time.Duration
	for i, d := range still {
		t.still[i] = append(t.still[i], d)
		longest = max(longest, d)
	}
	t.longest, t.bystander = append(t.longest, longest), append(t.bystander, other)
}

// closeRunning closes a session on a running program; a JVM's agent stays, and is named.
func closeRunning(b testing.TB, broker *brokertest.Broker, id string) {
	b.Helper()
	if closed := brokertest.JSON[[]api.Closed](broker, "close", id); len(closed) != 1 || closed[0].Error != nil {
		b.Errorf("close %s: %+v", id, closed)
	}
}
