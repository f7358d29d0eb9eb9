package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// maxPassages bounds the connections of one forward, and with them a loop that nobody saw.
	maxPassages = 1024
	// linkWait is how long a new connection waits for the link, and farWait how long the far side may take to connect it.
	linkWait = 30 * time.Second
	farWait  = 30 * time.Second
	// nearWait is how long this machine may take to connect what came in at the far side.
	nearWait = 10 * time.Second
)

// ErrLoop says that a forwarded connection would lead back into a forward.
var ErrLoop = errors.New("forward leads back to itself")

// errBusy says that a bound of ours is reached.
var errBusy = errors.New("too many connections at once")

// errRestarted is the cause of what Restart ends.
var errRestarted = errors.New("forward restarted")

// States of a forward.
const (
	ForwardUp      = "up"
	ForwardWaiting = "waiting" // for the link, or for the far side to listen; a local listener accepts all the same
	ForwardFailed  = "failed"  // the far side does not listen, and never has; it is asked again and again
)

// Via is what a forward goes through. A Keeper is one.
type Via interface {
	// Dial connects from the far side, over the link that is up or the next one that comes up.
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	// Up waits for a link.
	Up(ctx context.Context) (*Link, error)
	// Hurry is Up for a client's sake: it is there and waits.
	Hurry(ctx context.Context) (*Link, error)
}

// ForwardOptions is what a Forward is told beside its specification.
type ForwardOptions struct {
	// Changed is called after each change of Status but that of the byte counts, from any goroutine and without locks held. It must not
	// block. nil is nobody.
	Changed func()
	// Admit says whether a connection to a local listener may come in; nil admits all. Whom it refuses is reset before a byte is read.
	Admit func(net.Conn) error
	// Loop tells whether dialling address, from the far side or, for a remote forward, from here, would come back to us; nil never.
	Loop func(network, address string) bool
	Log  hclog.Logger // nil: no log
	// BindMask is the umask of a unix socket that is made here; 0 is 0177, which lets in our own user alone.
	BindMask fs.FileMode
	// Unlink removes a socket of our own that nobody listens on any more from where one is to be made, here or on the far side.
	Unlink bool
	// FarPort is asked for by a remote forward of port 0: the far side chose it before. FarPortHeld says that an earlier process of ours had it, whose
	// connection the far side may still believe in: then it is waited for, as after the loss of a link. Else another will do at once.
	FarPort     int
	FarPortHeld bool
	// GatewayPorts makes local listeners without a bind address listen on all addresses.
	GatewayPorts bool
}

// ForwardStatus is what a forward is at.
type ForwardStatus struct {
	State  string   // one of the Forward constants
	Listen Endpoint // as bound, with its real port and address: a default bind address is shown as 127.0.0.1, or on the far side as localhost
	// Connections are open now, those that still wait for the link included, and Total is how many have come.
	Connections int
	Total       uint64
	// BytesIn came from the far side to this machine, BytesOut went there, whichever end connected.
	BytesIn, BytesOut uint64
	// Note is what the user should know of a remote forward that is up: the server listens on other addresses than it was asked to, or on
	// another port than before. "" is nothing, or nothing yet: it is looked for after the fact. Looked tells that it has been, as far as that can be told there.
	Note   string
	Looked bool
	// Err is what went wrong last, and ErrAt when; nil after a connection that worked.
	Err   error
	ErrAt time.Time
}

// Forward is one forward, of any kind. Bind and Run are called once each; everything else at any time.
type Forward struct {
	spec ForwardSpec
	via  Via
	opts ForwardOptions
	log  hclog.Logger

	group      group
	handshakes chan struct{} // a token for each SOCKS handshake under way
	most       int           // passages at once
	anew       chan struct{} // tells serveRemote of a Restart
	in, out    atomic.Uint64

	mu        sync.Mutex // guards all below
	listeners []net.Listener
	passages  map[*passage]struct{}
	state     string
	bound     Endpoint
	note      string
	looked    bool
	servers   []ProcessID // who may listen for a remote forward at the far side: who does, or did, or was asked to and not heard to answer
	total     uint64
	lastErr   error
	lastAt    time.Time
}

// NewForward makes a Forward. Its error says that the specification makes no sense.
func NewForward(spec ForwardSpec, via Via, opts ForwardOptions) (*Forward, error) {
	switch {
	case spec.Kind != ForwardLocal && spec.Kind != ForwardRemote && spec.Kind != ForwardSocks:
		return nil, fmt.Errorf("%w: no such kind %q", ErrForwardSpec, spec.Kind)
	case spec.Kind == ForwardLocal && spec.socks():
		return nil, fmt.Errorf("%w: %s without a target", ErrForwardSpec, spec)
	case spec.Kind == ForwardSocks && !spec.socks():
		return nil, fmt.Errorf("%w: -D %s with a target", ErrForwardSpec, spec)
	}
	f := &Forward{
		spec: spec, via: via, opts: opts, log: opts.Log, state: ForwardWaiting, bound: spec.Listen, most: maxPassages,
		handshakes: make(chan struct{}, maxHandshakes), anew: make(chan struct{}, 1), passages: map[*passage]struct{}{},
	}
	if f.log == nil {
		f.log = hclog.NewNullLogger()
	}
	f.log = f.log.With("forward", spec.Kind.letter()+" "+spec.String())
	return f, nil
}

// Bind makes the local listener, whose port then is the forward's until Run returns. A remote forward has none. Its errors say who holds
// the port, where that can be told, and wrap what the system said (syscall.EADDRINUSE, EACCES, ...).
func (f *Forward) Bind(ctx context.Context) error {
	if f.spec.Kind == ForwardRemote {
		return nil
	}
	listeners, bound, err := listenHere(ctx, f.spec.Listen, f.opts)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.listeners, f.bound = listeners, bound
	f.mu.Unlock()
	f.changed()
	return nil
}

// Close gives up what Bind made, for who does not call Run.
func (f *Forward) Close() error {
	f.mu.Lock()
	listeners := f.listeners
	f.listeners = nil
	f.mu.Unlock()
	for _, l := range listeners {
		_ = l.Close()
	}
	return nil
}

// Run serves until ctx ends, which it returns as nil. When it returns the listeners are closed and all connections ended. A local
// listener outlives every outage of the link.
func (f *Forward) Run(ctx context.Context) error {
	// Connections end by their own contexts, so that what they cost is waited for.
	defer f.group.wait()
	defer f.dropAll(context.Canceled)
	if f.spec.Kind == ForwardRemote {
		f.serveRemote(ctx)
		return nil
	}
	defer f.Close()
	f.mu.Lock()
	listeners := f.listeners
	f.mu.Unlock()
	if len(listeners) == 0 {
		return fmt.Errorf("forward %s: not bound", f.spec)
	}
	for _, l := range listeners {
		f.group.spawn(func() { f.accept(ctx, l) })
	}
	f.followLink(ctx)
	return nil
}

// Restart ends the forward's connections and makes a remote listener anew. A local listener stays.
func (f *Forward) Restart() {
	f.mu.Lock()
	f.lastErr, f.lastAt = nil, time.Time{}
	f.mu.Unlock()
	f.dropAll(errRestarted)
	select {
	case f.anew <- struct{}{}:
	default: // one is asked for already
	}
	f.changed()
}

// Spec is what the forward was made of.
func (f *Forward) Spec() ForwardSpec { return f.spec }

// Status tells what the forward is at.
func (f *Forward) Status() ForwardStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return ForwardStatus{
		State: f.state, Listen: f.bound, Connections: len(f.passages), Total: f.total,
		BytesIn: f.in.Load(), BytesOut: f.out.Load(), Note: f.note, Looked: f.looked, Err: f.lastErr, ErrAt: f.lastAt,
	}
}

// followLink keeps the state of a local forward that of its link.
func (f *Forward) followLink(ctx context.Context) {
	for ctx.Err() == nil {
		link, err := f.via.Up(ctx)
		if err != nil {
			rest(ctx, time.Second) // whoever keeps the link says why it is not there; here only the pace matters
			continue
		}
		f.setState(ForwardUp)
		select {
		case <-link.Done():
			f.setState(ForwardWaiting)
		case <-ctx.Done():
		}
	}
}

// rest waits for d, or for the end of ctx.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
