package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"time"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

const (
	readyTimeout   = 30 * time.Second // where the plan has none
	startedTimeout = 45 * time.Second // Delve may still read a large program's symbols
	endpointPoll   = 100 * time.Millisecond
	maxEndpoint    = 64 << 10 // bytes of debugpy's endpoint file
	lastWordsWait  = time.Second

	settleTime = 500 * time.Millisecond // how long a program that runs at once is watched, where the plan does not say
	// overTime is how long the exit of a program may take that has said that it is ending. Threads of its own may keep it alive.
	overTime = 3 * time.Second
)

// awaitReady waits until the server has announced its endpoint, and takes the endpoint from what it said.
func (s *session) awaitReady(ctx context.Context, r *rig, w *watchers) error {
	timeout := r.plan.Ready.Timeout
	if timeout == 0 {
		timeout = readyTimeout
	}
	if c := s.b.config.Session.OpenTimeout; c > 0 {
		timeout = c
	}
	s.say("waiting for " + r.plan.Server)
	rctx, cancel := context.WithTimeoutCause(ctx, timeout, errNotReady)
	defer cancel()
	var file <-chan string
	if r.plan.Ready.EndpointFile != "" {
		c := make(chan string, 1)
		file = c
		path, host := r.plan.Ready.EndpointFile, r.host
		r.guarded(func() { pollEndpoint(rctx, host, path, c) }) // ends with rctx
	}
	for {
		select {
		case m := <-w.announced:
			if err := s.takeEndpoint(r, r.plan.Ready.Line, m); err != nil {
				return err
			}
			if r.plan.Announced != nil {
				r.plan.Announced(r.wsPath)
			}
			s.takeNotices(w)
			return nil
		case addr := <-file:
			r.address = addr
			s.takeNotices(w)
			_, err := r.endpoint()
			return err
		case e := <-r.exited:
			if e.err != nil {
				return e.err
			}
			waitFor(ctx, r.drained, lastWordsWait)
			return s.diedAtStart(r, e)
		case <-r.host.Done():
			return r.host.Err()
		case <-rctx.Done():
			if err := context.Cause(rctx); !errors.Is(err, errNotReady) {
				return err
			}
			return apiErrorf(api.CodeNotReady, hintPrinted+"; a longer open_timeout in the config gives it more time",
				"%s did not announce itself within %s", r.plan.Server, timeout)
		}
	}
}

var errNotReady = errors.New("debug server not ready in time")

func (s *session) takeNotices(w *watchers) {
	for {
		select {
		case n := <-w.notices:
			s.warn(n)
		default:
			return
		}
	}
}

// takeEndpoint reads the named groups of an announcement, and refuses what is not a server's of this session.
func (s *session) takeEndpoint(r *rig, re *regexp.Regexp, m []string) error {
	for i, name := range re.SubexpNames() {
		switch {
		case m[i] == "":
		case name == "addr" && r.plan.Address == "":
			r.address = m[i]
		case name == "path":
			if err := r.setPath(m[i]); err != nil {
				return err
			}
		}
	}
	_, err := r.endpoint()
	return err
}

// pollEndpoint reads debugpy's endpoint file until it is there and whole.
func pollEndpoint(ctx context.Context, host tunnel.Host, path string, out chan<- string) {
	tick := time.NewTicker(endpointPoll)
	defer tick.Stop()
	for {
		b, err := host.ReadFile(ctx, path, maxEndpoint)
		if err == nil {
			var v struct {
				Client struct {
					Host string `json:"host"`
					Port int    `json:"port"`
				} `json:"client"`
			}
			if json.Unmarshal(b, &v) == nil && v.Client.Port != 0 {
				out <- net.JoinHostPort(v.Client.Host, strconv.Itoa(v.Client.Port))
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// diedAtStart says what it means that the server ended before it was ready.
func (s *session) diedAtStart(r *rig, e ended) error {
	text := s.out.tail(s.said, 64<<10, maxLogLine) // what an earlier attempt printed has been judged
	for _, f := range r.plan.Failures {
		m := f.Match.FindStringSubmatchIndex(text)
		if m == nil {
			continue
		}
		err := error(&adapters.Error{Code: f.Code, Message: string(f.Match.ExpandString(nil, f.Message, text, m)), Hint: f.Hint})
		if f.Retry {
			err = &againError{err: err}
		}
		return err
	}
	return apiErrorf(api.CodeProgramEnded, hintPrinted, "%s ended with %s before it was ready", r.plan.Server, describeExit(*e.api()))
}

// started has the first conversation with the server; it also proves that the endpoint can be reached.
func (s *session) started(ctx context.Context, r *rig) error {
	s.cur.Remote = r.remote()
	if r.plan.Started == nil {
		return s.checkForwarding(ctx, r)
	}
	ctx, cancel := context.WithTimeout(ctx, startedTimeout)
	defer cancel()
	st, err := r.plan.Started(ctx, r.dial)
	if err != nil {
		if e, ok := exitOf(ctx, r); ok {
			waitFor(ctx, r.drained, lastWordsWait)
			return s.diedAtStart(r, e)
		}
		// sshd does not tell a socket that it does not forward from one that is not there (tunnel.ErrFarDial).
		unreached := errors.Is(err, tunnel.ErrForbidden) || errors.Is(err, tunnel.ErrFarDial)
		if r.network == "unix" && unreached {
			return &againError{err: err, noStreamLocal: true}
		}
		return fmt.Errorf("speak to %s: %w", r.plan.Server, err)
	}
	if st.PID != 0 {
		s.cur.PID = &st.PID
	}
	if st.WSPath != "" {
		if err := r.setPath(st.WSPath); err != nil {
			return err
		}
	}
	if st.Version != "" {
		s.cur.Server = r.plan.Server + " " + st.Version
	}
	return nil
}

// checkForwarding proves, without touching a debug server that a bare connection would wedge, that the SSH server forwards TCP:
// port 1 of the host answers "refused" where it does and "prohibited" where it does not.
func (s *session) checkForwarding(ctx context.Context, r *rig) error {
	if s.req.Host == "" || r.network != "tcp" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c, err := r.host.Dial(ctx, "tcp", "127.0.0.1:1")
	if err == nil {
		c.Close()
	}
	if errors.Is(err, tunnel.ErrForbidden) {
		return err
	}
	return nil
}

// exitOf gives a server that does not answer a moment to end: its end then says more than its silence.
func exitOf(ctx context.Context, r *rig) (ended, bool) {
	t := time.NewTimer(lastWordsWait)
	defer t.Stop()
	select {
	case e := <-r.exited: // nil where nothing was started
		return e, e.err == nil
	case <-t.C:
	case <-ctx.Done():
	}
	return ended{}, false
}

// waitFor waits for c, at most d.
func waitFor(ctx context.Context, c <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
	case <-t.C:
	case <-ctx.Done():
	}
}

// settle watches a program that runs at once for a moment: one that ends in it could not have been debugged.
func (s *session) settle(ctx context.Context, r *rig) error {
	if !s.req.NoWait || r.proc == nil {
		return nil
	}
	moment := r.plan.Ready.Settle
	if moment == 0 {
		moment = settleTime
	}
	t := time.NewTimer(moment)
	defer t.Stop()
	var e ended
	ok := true
	for over, waiting := r.over, true; waiting; {
		waiting = false
		select {
		case e = <-r.exited:
		case e, ok = <-r.watched:
		case <-over:
			over, waiting = nil, true
			t.Reset(overTime)
		case <-t.C:
			return nil
		case <-r.host.Done():
			return r.host.Err()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	switch {
	case !ok: // it is no more watched since the host is gone
		return r.host.Err()
	case e.err != nil:
		return e.err
	}
	s.cur.Exit = e.api()
	if e.server {
		waitFor(ctx, r.drained, lastWordsWait) // its last words come by other ways than its exit
	}
	return apiErrorf(api.CodeProgramEnded, hintPrinted+"; without --no-wait it waits for the front end before it runs", "the program ended at once with %s", describeExit(*s.cur.Exit))
}
