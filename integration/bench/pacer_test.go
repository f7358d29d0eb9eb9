package bench

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"
)

var pacing = regexp.MustCompile(`(?m)^pacing$`)

// pacer is a running program that knows how long it stood still.
type pacer struct {
	*child
	asked int
}

func startPacer(b testing.TB, env []string, argv []string) *pacer {
	b.Helper()
	p := &pacer{child: start(b, env, argv...)}
	p.await(pacing)
	return p
}

func (p *pacer) pid() int { return p.cmd.Process.Pid }

// longest is the longest time between two turns of the program since it was last asked. A program that stands still answers when it runs
// again, and counts that pause.
func (p *pacer) longest() time.Duration {
	p.b.Helper()
	p.asked++
	if _, err := fmt.Fprintln(p.in, p.asked); err != nil {
		p.b.Fatalf("ask %s for its longest pause: %v", p.cmd.Path, err)
	}
	ns, err := strconv.ParseInt(p.await(regexp.MustCompile(fmt.Sprintf(`(?m)^%d (\d+)$`, p.asked)))[1], 10, 64)
	if err != nil {
		p.b.Fatal(err)
	}
	return time.Duration(ns)
}
