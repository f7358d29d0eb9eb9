package broker

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/broker/proxy"
	"github.com/debugbroker/debugbroker/store"
	"github.com/debugbroker/debugbroker/tunnel"
)

const (
	drainWait     = 3 * time.Second        // for front ends to leave after the program has ended
	lastWatchWait = 500 * time.Millisecond // for Plan.Watch's answer once the server has ended
	watchPause    = time.Second            // before Plan.Watch is asked again, and then ever longer
	watchPauseMax = 30 * time.Second
)

// rig is what a session has built so far, here and on its host. Only the session's goroutine touches it.
type rig struct {
	listener net.Listener
	host     tunnel.Host
	facts    tunnel.Facts
	root     bool             // host is one of AsRoot
	target   adapters.Running // mode Attach
	stdio    chan struct{}    // one slot: taken while a debug server of dialStdio is there
	// dialStdio is session.dialStdio.
	dialStdio func(context.Context, *rig) (net.Conn, error)
	entry     *store.Entry // in the ledger
	// abandoned says that what entry names could not be cleaned up.
	abandoned bool
	proc      tunnel.Process
	plan      adapters.Plan
	network   string
	address   string
	wsPath    string
	// listenerPID is who listened on address when the server was ready, 0 if that is not known.
	listenerPID int

	panicked func(any)            // is told when one of the session's other goroutines panics
	tasks    sync.WaitGroup       // the goroutines that task and guarded started
	stops    []context.CancelFunc // end those of task
	exited   <-chan ended         // the server process has ended
	watched  <-chan ended         // Plan.Watch has seen the program's end; closed when it watches no more
	drained  <-chan struct{}      // everything that the process printed has been read
	over     <-chan struct{}      // a line of output said that the program is ending
	ending   <-chan struct{}      // a line of output said that the program is over
	proxy    *proxy.Proxy         // nil until the session is nearly ready
	proxyEnd func()               // closes every front end and waits
}

// ended is how a process ended, or why that is not known.
type ended struct {
	exit   tunnel.Exit
	server bool // the debug server's process, not what a Watch saw
	err    error
}

func (e ended) api() *api.Exit {
	if e.exit.Signal != "" {
		return &api.Exit{Signal: e.exit.Signal}
	}
	code := e.exit.Code
	return &api.Exit{Code: &code}
}

func describeExit(e api.Exit) string {
	if e.Code == nil {
		return "signal " + e.Signal
	}
	return "status " + strconv.Itoa(*e.Code)
}

// dial connects to the debug server.
func (r *rig) dial(ctx context.Context) (net.Conn, error) {
	if r.network == "stdio" {
		return r.dialStdio(ctx, r)
	}
	return r.host.Dial(ctx, r.network, r.address)
}

// drain waits a little for the front ends to leave by themselves.
func (r *rig) drain(ctx context.Context) {
	if r.proxy == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, drainWait)
	defer cancel()
	r.proxy.Drain(ctx)
}

// remote is the endpoint as users see it.
func (r *rig) remote() string {
	switch {
	case r.network == "stdio":
		return "stdio"
	case r.address == "":
		return ""
	case r.network == "unix":
		return "unix:" + r.address
	}
	return r.address
}

// guarded starts a goroutine that stopTasks waits for.
func (r *rig) guarded(f func()) {
	r.tasks.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				r.panicked(p)
			}
		}()
		f()
	})
}

// task starts a goroutine that outlives ctx's cancel: it ends with stopTasks, after the host has been cleaned up, so that the last
// output is still read.
func (r *rig) task(ctx context.Context, f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.stops = append(r.stops, cancel)
	r.guarded(func() { f(ctx) })
}

// stopTasks ends every task and waits for it. What the process has printed is read before, unless it comes too slowly.
func (r *rig) stopTasks(ctx context.Context) {
	if r.drained != nil {
		waitFor(ctx, r.drained, lastWordsWait)
	}
	for _, stop := range r.stops {
		stop()
	}
	if r.proc != nil {
		r.proc.Release() // ends its output too
	}
	r.tasks.Wait()
	r.stops = nil
}

// watchExit starts the goroutine that waits for the server process.
func (r *rig) watchExit(ctx context.Context, proc tunnel.Process) {
	exited := make(chan ended, 1)
	r.exited = exited
	r.task(ctx, func(ctx context.Context) {
		exit, err := proc.Wait(ctx)
		if err != nil && errors.Is(err, context.Canceled) {
			return
		}
		exited <- ended{exit: exit, server: true, err: err}
	})
}

// watchProgram starts the goroutine that asks the server whether its program has ended.
func (r *rig) watchProgram(ctx context.Context) {
	if r.plan.Watch == nil {
		return
	}
	watched := make(chan ended, 1)
	r.watched = watched
	watch, done := r.plan.Watch, r.host.Done()
	r.task(ctx, func(ctx context.Context) {
		defer close(watched)
		for pause := watchPause; ; pause = min(2*pause, watchPauseMax) {
			exit, err := watch(ctx, r.dial)
			if err == nil {
				watched <- ended{exit: tunnel.Exit{Code: exit.Code, Signal: exit.Signal}}
				return
			}
			// The server is gone, and its own exit or the link's tells; or it was one connection that failed, and we ask again, since a
			// server may outlive its program.
			t := time.NewTimer(pause)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return
			case <-done:
				t.Stop()
				return
			}
		}
	})
}

// lastWatched is what Plan.Watch has seen of the program's end, where the server's own end is known already. The two come by different
// ways, so it is waited for, for a moment.
func (r *rig) lastWatched() (ended, bool) {
	if r.watched == nil {
		return ended{}, false
	}
	t := time.NewTimer(lastWatchWait)
	defer t.Stop()
	select {
	case e, ok := <-r.watched:
		return e, ok
	case <-t.C:
		return ended{}, false
	}
}
