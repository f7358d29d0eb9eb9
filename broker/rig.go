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

// drainWait is how long front ends may take to leave after the program has ended.
const drainWait = 3 * time.Second

// rig is what a session has built so far, here and on its host. Only the session's goroutine touches it.
type rig struct {
	listener net.Listener
	host     tunnel.Host
	facts    tunnel.Facts
	entry    *store.Entry // in the ledger
	proc     tunnel.Process
	plan     adapters.Plan
	network  string
	address  string
	wsPath   string

	tasks    sync.WaitGroup       // the goroutines that task started
	stops    []context.CancelFunc // end them
	exited   <-chan ended         // the server process has ended
	watched  <-chan ended         // Plan.Watch has seen the program's end
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
	case r.address == "":
		return ""
	case r.network == "unix":
		return "unix:" + r.address
	}
	return r.address
}

// task starts a goroutine that outlives ctx's cancel: it ends with stopTasks, after the host has been cleaned up, so that the last
// output is still read.
func (r *rig) task(ctx context.Context, f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.stops = append(r.stops, cancel)
	r.tasks.Go(func() { f(ctx) })
}

// stopTasks ends every task and waits for it.
func (r *rig) stopTasks() {
	for _, stop := range r.stops {
		stop()
	}
	if r.proc != nil {
		r.proc.Release()
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
	watch := r.plan.Watch
	r.task(ctx, func(ctx context.Context) {
		exit, err := watch(ctx, r.dial)
		if err != nil {
			return // the server is gone: its own exit, or the link's, tells
		}
		watched <- ended{exit: tunnel.Exit{Code: exit.Code, Signal: exit.Signal}}
	})
}
