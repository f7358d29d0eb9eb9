package broker

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/debugbroker/debugbroker/tunnel"
)

// watchers is what a session looks for in the output of its server.
type watchers struct {
	announced chan []string // submatches of Ready.Line, once
	notices   chan string
}

// pump starts the goroutines that read a process's output: into the session's log, and to whoever looks for certain lines.
func (s *session) pump(ctx context.Context, r *rig, proc tunnel.Process) *watchers {
	w := &watchers{announced: make(chan []string, 1), notices: make(chan string, 16)}
	ending := make(chan struct{})
	drained := make(chan struct{})
	over := make(chan struct{})
	r.over, r.ending, r.drained = over, ending, drained
	plan := r.plan
	var announceOnce, overOnce, endOnce sync.Once
	read := func(ctx context.Context, from io.Reader, stream string) {
		splitLines(ctx, from, func(line string) {
			stream := stream
			if plan.Ready.Line != nil {
				if m := plan.Ready.Line.FindStringSubmatch(line); m != nil {
					announceOnce.Do(func() { w.announced <- m })
				}
			}
			if plan.Notices != nil {
				if m := plan.Notices.FindStringSubmatch(line); len(m) > 1 {
					select {
					case w.notices <- m[1]:
					default:
					}
				}
			}
			if plan.Ready.Over != nil && plan.Ready.Over.MatchString(line) {
				overOnce.Do(func() { close(over) })
			}
			if plan.Ending != nil && plan.Ending.MatchString(line) {
				endOnce.Do(func() { close(ending) })
			}
			if plan.ServerLine != nil && plan.ServerLine.MatchString(line) {
				stream = "server"
			}
			s.out.add(stream, line, time.Now().UTC())
		})
	}
	var both sync.WaitGroup
	both.Add(2)
	r.task(ctx, func(ctx context.Context) { defer both.Done(); read(ctx, proc.Stdout(), "stdout") })
	r.task(ctx, func(ctx context.Context) { defer both.Done(); read(ctx, proc.Stderr(), "stderr") })
	r.guarded(func() { both.Wait(); close(drained) })
	return w
}
