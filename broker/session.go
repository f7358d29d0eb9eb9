package broker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// session is one debug session. Its goroutine, run, owns cur and rig; everybody else reads the snapshots that publish makes, and
// ends it by cancelling its context with a cause.
type session struct {
	id      string
	b       *Broker
	req     api.OpenRequest
	adapter adapters.Adapter
	log     hclog.Logger
	cancel  context.CancelCauseFunc

	cur api.Session // owned by run
	// silent: the host did not answer when it was to be cleaned up. run sets it before done.
	silent bool
	leaves []string // what the plan said that nobody can remove. run sets it before done.
	said   int      // owned by run: where in out the server's present start begins
	view   atomic.Pointer[api.Session]
	held   atomic.Pointer[[]tunnel.ProcessID] // what is its own on its host: the debuggee as far as it is known, the debug server
	talk   *interview                         // with whoever waits for it to open; nil where nobody can be asked
	// progress is what an opening session waits for.
	progress atomic.Pointer[string]
	tracker  Tracker // view or progress has changed
	out      output

	clients chan int // how many front ends there are, from the proxy; the newest value only
	// extensions asks run for a later end, and deadline tells it to expire, which gives notice of the end by expiring.
	extensions chan extension
	deadline   chan time.Time
	expiring   chan struct{}
	opened     chan struct{} // closed when opening has ended, well or not
	done       chan struct{} // closed when the session is over and its host as clean as it could be made
}

func newSession(b *Broker, id string, req api.OpenRequest, a adapters.Adapter, cancel context.CancelCauseFunc) *session {
	now := time.Now().UTC().Truncate(time.Second)
	s := &session{
		id: id, b: b, req: req, adapter: a, cancel: cancel,
		log:     b.log.With("session", id, "host", req.Host, "lang", a.Name()),
		clients: make(chan int, 1), extensions: make(chan extension), deadline: make(chan time.Time), expiring: make(chan struct{}, 1),
		opened: make(chan struct{}),
		done:   make(chan struct{}),
		cur: api.Session{
			ID: id, Host: req.Host, Lang: a.Name(), Mode: string(mode(req)), Phase: api.PhaseOpening, Protocol: string(a.Protocol()),
			Command: append([]string{}, req.Program...), Map: append([]api.PathMap{}, req.Map...),
			Created: now, Expires: now.Add(req.TTL), Policy: "full", Reason: req.Reason, Warnings: []string{}, Left: []string{},
		},
	}
	if req.CanPrompt {
		s.talk = b.newInterview()
	}
	s.publish()
	return s
}

// publish makes what run changed in cur visible.
func (s *session) publish() {
	v := s.cur
	v.Warnings = append([]string{}, s.cur.Warnings...)
	v.Left = append([]string{}, s.cur.Left...)
	v.Map = append([]api.PathMap{}, s.cur.Map...)
	s.view.Store(&v)
	s.tracker.Bump()
	s.b.tracker.Bump()
}

// snapshot is the session as it is now, its link included.
func (s *session) snapshot() api.Session {
	v := *s.view.Load()
	if !v.Phase.Ended() {
		v.Link = s.b.hosts.Link(s.req.Host)
	}
	return v
}

// say tells whoever waits for the session what is being waited for.
func (s *session) say(text string) {
	s.progress.Store(&text)
	s.log.Debug("progress", "text", text)
	s.tracker.Bump()
}

// warn adds a warning once.
func (s *session) warn(text string) {
	for _, w := range s.cur.Warnings {
		if w == text {
			return
		}
	}
	s.cur.Warnings = append(s.cur.Warnings, text)
}

func (s *session) setPhase(p api.Phase) {
	s.cur.Phase = p
	s.log.Info("phase", "phase", string(p))
	s.publish()
}

// run is the session's whole life. It returns when the session is over.
func (s *session) run(ctx context.Context) {
	defer close(s.done)
	var clock sync.WaitGroup
	expires := s.cur.Expires
	clock.Go(func() { s.expire(ctx, expires) })
	r := &rig{stdio: make(chan struct{}, 1), dialStdio: s.dialStdio, panicked: func(p any) { s.cancel(s.panicked(p)) }}
	var cause error
	if err := s.attempt(func() { cause = s.live(ctx, r) }); err != nil {
		cause = err
	}
	s.cancel(cause) // no news to whoever ended it
	clock.Wait()
	s.end(ctx, r, cause)
	select {
	case <-s.opened:
	default:
		close(s.opened)
	}
}

// live opens the session and serves it, and returns what ended it.
func (s *session) live(ctx context.Context, r *rig) error {
	if err := s.open(ctx, r); err != nil {
		// Why the context ended says more than what the interrupted operation made of it.
		if why := context.Cause(ctx); why != nil {
			err = why
		}
		s.cur.Error = s.explain(err)
		return err
	}
	s.setPhase(api.PhaseReady)
	s.b.events.add(s.id, "ready", s.cur.Server+" on "+hostLabel(s.req.Host)+" at "+s.cur.Local)
	close(s.opened)
	return s.serve(ctx, r)
}

// panicked makes the end of one session of what would else be the end of the daemon, and of everybody's sessions with it.
func (s *session) panicked(p any) error {
	s.log.Error("panic", "value", p, "stack", string(debug.Stack()))
	return fmt.Errorf("%w: %v", errPanic, p)
}

// explain turns an error of opening into what the user sees, with the output that may tell more.
func (s *session) explain(err error) *api.Error {
	e := *asAPI(err)
	switch e.Code {
	case api.CodeProgramEnded, api.CodeNotReady, api.CodeMissingTool, api.CodeNotFound, api.CodeUsage:
		if e.Output == "" {
			e.Output = s.out.telling(s.said, 8<<10, 1<<10)
		}
		rest, printed := strings.CutPrefix(e.Hint, hintPrinted)
		switch {
		case printed && e.Output == "":
			e.Hint = hintSilent + rest
		case e.Hint == "" && e.Output != "":
			e.Hint = hintPrinted
		}
	}
	e.Hint = strings.ReplaceAll(e.Hint, "`brokerctl logs`", "`brokerctl logs "+s.id+"`") // an adapter does not know the id
	return &e
}

// serve watches over a session that is ready until something ends it, and says what: nil is the end of the program.
func (s *session) serve(ctx context.Context, r *rig) error {
	for {
		select {
		case n := <-s.clients:
			s.cur.Clients = n
			s.cur.Phase = api.PhaseReady
			if n > 0 {
				s.cur.Phase = api.PhaseAttached
			}
			s.publish()
		case e := <-s.extensions:
			e.answer <- s.extend(ctx, e.ttl)
		case <-s.expiring:
			s.warnExpiry(r)
		case e := <-r.exited:
			return s.programEnded(ctx, r, e)
		case e, ok := <-r.watched:
			if !ok {
				r.watched = nil
				continue
			}
			return s.programEnded(ctx, r, e)
		case <-r.ending:
			// The server only waits for its front ends to leave; its exit then tells the program's status.
			r.ending = nil
			r.drain(ctx)
		case <-r.host.Done():
			return r.host.Err()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// programEnded records how the program ended and lets the front ends read what is on its way to them.
func (s *session) programEnded(ctx context.Context, r *rig, e ended) error {
	if e.err != nil {
		return e.err
	}
	if e.server && r.plan.Stands {
		if e.exit != (tunnel.Exit{}) {
			return apiErrorf(api.CodeInternal, "open it again; the program itself runs on", "what watched over the program on the host ended with %s", describeExit(*e.api()))
		}
	} else if e.server && r.plan.Watch != nil {
		// Delve's own exit is not its program's: either a front end has told it to end both, or the program's end has been seen.
		if seen, ok := r.lastWatched(); ok {
			s.cur.Exit = seen.api()
		}
	} else {
		s.cur.Exit = e.api()
	}
	text := "the program has ended"
	if r.plan.Stands {
		text = fmt.Sprintf("the program has ended (pid %d); how is not known", *s.cur.PID)
	}
	if s.cur.Exit != nil {
		text = "the program has ended with " + describeExit(*s.cur.Exit)
	}
	s.b.events.add(s.id, "exit", text)
	s.publish()
	r.drain(ctx)
	return nil
}

// notifyClients is the proxy's callback. It keeps only the newest number, so that it never blocks.
func (s *session) notifyClients(n int) {
	for {
		select {
		case s.clients <- n:
			return
		default:
		}
		select {
		case <-s.clients:
		default:
		}
	}
}

// endPhase says in which phase a session ends for a cause.
func endPhase(cause error) api.Phase {
	switch {
	case cause == nil, errors.Is(cause, errClosed), errors.Is(cause, errShutdown):
		return api.PhaseClosed
	case errors.Is(cause, errExpired):
		return api.PhaseExpired
	}
	return api.PhaseFailed
}
