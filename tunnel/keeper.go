package tunnel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/go-hclog"
)

const (
	// firstPause and longestPause bound what a Keeper waits before it dials again; each wait is anything from nothing to the bound, so
	// that many who lost the same server do not come back at the same time.
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
	// steadyFor is how long a link must have lived for its loss to count as the first one, after which a Keeper dials at once. A server that
	// lets us in and hangs up is not to be asked without a pause.
	steadyFor = 5 * time.Second
	// While somebody waits for a connection through the link, a pause is at most a wantedShare-th of the time for which there has been trouble, and
	// may be wantedPause: an outage of a moment costs them no more than a moment, and one of an hour does not have the server asked all the time.
	wantedShare = 10
	wantedPause = firstPause / 2
	// staleDial is how old a dial must be for Pool.Probe to give it up: what it waits for may have been sent before the machine slept, or
	// from an address that it has no more.
	staleDial = 3 * time.Second
	// openPatience is how long the server may take over a connection before the link is probed. It may take longer: the address may not answer
	// it. But a dead link must be found out while who waits for the connection still does.
	openPatience = 3 * time.Second
)

// ErrKeeperEnded says that the Keeper's Run has returned.
var ErrKeeperEnded = errors.New("the link is kept up no more")

// errStale ends a dial that Pool.Probe gave up.
var errStale = errors.New("dialled before the network changed")

// KeeperOptions set up a Keeper.
type KeeperOptions struct {
	// Name is what the user called the host.
	Name string
	// Resolve tells where to dial, and what for. It is asked before each dial, so that an edited configuration counts.
	Resolve func(context.Context) (Target, Caller, error)
	// Changed is called after each change of Status, on Run's goroutine and without locks held; nil where nobody wants to know.
	Changed func()
	Log     hclog.Logger // nil: no log
}

// KeeperStatus is what a Keeper is at.
type KeeperStatus struct {
	State   string    // LinkUp, LinkConnecting, LinkWaiting or LinkNeedsAuth; LinkDown once Run has returned
	Err     error     // why the link was lost or the last dial failed; nil while it is up
	Since   time.Time // when State began
	RetryAt time.Time // when it dials again; zero unless it is LinkWaiting
}

// Keeper keeps the link to one host up until its Run ends, whatever happens to it. Keepers with the same Target, and Hosts, share the Pool's
// link: however many there are, there is one dial.
//
// After a loss it dials at once, and then ever more rarely, up to once in 30 s, for ever; sooner while somebody waits in Hurry or Dial. Where only
// a person can help (ErrNeedsAuth, ErrAuth, ErrHostKey) it dials no more until Retry, or until somebody else's dial has brought up the link.
//
// Its methods may be called at any time, from any goroutine.
type Keeper struct {
	options KeeperOptions
	links   links
	log     hclog.Logger

	retry, probed, joined chan struct{} // each holds one call that no attempt has heeded yet
	wanted                chan struct{} // likewise: somebody waits in Hurry
	ended                 chan struct{} // closed when Run returns

	mu      sync.Mutex // guards all below
	status  KeeperStatus
	link    *Link                   // while it is up
	changed chan struct{}           // closed, and replaced, when any of these changes
	giveUp  context.CancelCauseFunc // ends the dial under way; nil where there is none
}

// links is where a Keeper gets its link from: a Pool, but in tests of the clock.
type links interface {
	Link(ctx context.Context, target Target, caller Caller, progress func(string)) (link *Link, release func(), err error)
	enroll(k *Keeper, key string)
	dismiss(k *Keeper)
}

// NewKeeper makes a Keeper, which does nothing before its Run.
func NewKeeper(pool *Pool, o KeeperOptions) *Keeper { return newKeeper(pool, o) }

func newKeeper(l links, o KeeperOptions) *Keeper {
	k := &Keeper{
		options: o, links: l, log: o.Log,
		retry: make(chan struct{}, 1), probed: make(chan struct{}, 1), joined: make(chan struct{}, 1), wanted: make(chan struct{}, 1),
		ended: make(chan struct{}), changed: make(chan struct{}), status: KeeperStatus{State: LinkConnecting, Since: time.Now()},
	}
	if k.log == nil {
		k.log = hclog.NewNullLogger()
	}
	return k
}

// Run keeps the link up until ctx is done, and returns nil then, or until the Pool has ended, and returns ErrPoolClosed. It must be called
// once. The link itself may live on: others may use it, and the Pool keeps it for its linger time.
func (k *Keeper) Run(ctx context.Context) error {
	defer k.links.dismiss(k)
	defer k.set(KeeperStatus{State: LinkDown}, nil)
	defer close(k.ended)
	pauses := &backoff.ExponentialBackOff{
		// With a randomization of 1 a pause is anything from 0 to twice the interval: full jitter.
		InitialInterval: firstPause / 2, MaxInterval: longestPause / 2, Multiplier: 2, RandomizationFactor: 1,
	}
	pauses.Reset()
	var troubled time.Time // when a dial has failed, or a link been lost, for the first time since the last steady one; zero if none
	var err error          // why there is no link
	for {
		var lived time.Duration
		lived, err = k.attempt(ctx, err)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrPoolClosed):
			return err
		case needsPerson(err):
			k.log.Debug("waiting for a person", "host", k.options.Name, "error", err)
			k.set(KeeperStatus{State: LinkNeedsAuth, Err: err}, nil)
			k.idle(ctx, nil, nil, nil)
			continue
		}
		if lived >= steadyFor {
			pauses.Reset()
			troubled = time.Time{}
		}
		first := troubled.IsZero()
		if first {
			troubled = time.Now()
		}
		if lived > 0 && first {
			continue
		}
		k.pause(ctx, pauses.NextBackOff(), troubled, err)
	}
}

// pause waits until it is time to dial again.
func (k *Keeper) pause(ctx context.Context, pause time.Duration, troubled time.Time, err error) {
	k.log.Debug("no link", "host", k.options.Name, "error", err, "again_in", pause.Round(time.Millisecond).String())
	end := time.Now().Add(pause)
	k.set(KeeperStatus{State: LinkWaiting, Err: err, RetryAt: end}, nil)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	wanted := k.wanted
	if errors.Is(err, ErrBusy) {
		wanted = nil // who asks more often makes it worse, for others too
	}
	if !k.idle(ctx, timer.C, k.probed, wanted) {
		return
	}
	shorter := rand.N(max(time.Since(troubled)/wantedShare, wantedPause))
	if shorter < time.Until(end) {
		k.set(KeeperStatus{State: LinkWaiting, Err: err, RetryAt: time.Now().Add(shorter)}, nil)
		timer.Reset(shorter)
	}
	k.idle(ctx, timer.C, k.probed, nil)
}

// needsPerson tells whether dialling again by itself would be of no use, and may do harm: servers lock out who keeps failing.
func needsPerson(err error) bool {
	return errors.Is(err, ErrNeedsAuth) || errors.Is(err, ErrAuth) || errors.Is(err, ErrHostKey)
}

// attempt dials once and holds the link as long as it lives, which it returns: 0 where none came up. The error says why there is none;
// last is why there was none before.
func (k *Keeper) attempt(ctx context.Context, last error) (lived time.Duration, err error) {
	for _, heeded := range []chan struct{}{k.retry, k.probed, k.joined, k.wanted} {
		select {
		case <-heeded:
		default:
		}
	}
	k.set(KeeperStatus{State: LinkConnecting, Err: last}, nil)
	link, release, err := k.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	began := time.Now()
	k.set(KeeperStatus{State: LinkUp}, link)
	select {
	case <-link.Done():
		return max(time.Since(began), 1), link.Err()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (k *Keeper) dial(ctx context.Context) (*Link, func(), error) {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	k.mu.Lock()
	k.giveUp = giveUp
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.giveUp = nil
		k.mu.Unlock()
	}()
	target, caller, err := k.options.Resolve(ctx)
	if err == nil {
		k.links.enroll(k, target.Key())
		var link *Link
		var release func()
		if link, release, err = k.links.Link(ctx, target, caller, nil); err == nil {
			return link, release, nil
		}
	}
	if errors.Is(context.Cause(ctx), errStale) {
		err = classified(ErrUnreachable, errStale)
	}
	return nil, nil, err
}

// idle waits for what ends a pause: its time, Retry, a probe, or a link that another's dial has brought up. It tells whether it was only wanted.
func (k *Keeper) idle(ctx context.Context, over <-chan time.Time, probed, wanted <-chan struct{}) bool {
	select {
	case <-over:
	case <-probed:
	case <-k.retry:
	case <-k.joined:
	case <-ctx.Done():
	case <-wanted:
		return true
	}
	return false
}

// set changes the status, where it is another, and tells who waits for that.
func (k *Keeper) set(s KeeperStatus, link *Link) {
	k.mu.Lock()
	if s.State == k.status.State && s.Err == nil && k.status.Err == nil && link == k.link {
		k.mu.Unlock()
		return
	}
	s.Since = k.status.Since
	if s.State != k.status.State {
		s.Since = time.Now()
	}
	k.status, k.link = s, link
	close(k.changed)
	k.changed = make(chan struct{})
	k.mu.Unlock()
	if k.options.Changed != nil {
		k.options.Changed()
	}
}

// Retry makes a Keeper that waits, for its time or for a person, dial at once. Where a dial is under way, one more follows if that fails.
func (k *Keeper) Retry() { tap(k.retry) }

// nudge is Pool.Probe's: whoever waits for its time dials at once, and a dial that is older than the probe's cause is given up.
func (k *Keeper) nudge() {
	k.mu.Lock()
	if k.giveUp != nil && time.Since(k.status.Since) >= staleDial {
		k.giveUp(errStale)
	}
	k.mu.Unlock()
	tap(k.probed)
}

// tap leaves a call for whoever waits on c next.
func tap(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Status tells what the Keeper is at.
func (k *Keeper) Status() KeeperStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Up returns the link, for which it waits as long as ctx allows.
//
// Errors wrap ErrKeeperEnded, or ctx's error and what the last dial failed with.
func (k *Keeper) Up(ctx context.Context) (*Link, error) { return k.up(ctx, func() {}) }

// Hurry is Up, and makes pauses between dials shorter while it waits. It is for who cannot go on without the link.
func (k *Keeper) Hurry(ctx context.Context) (*Link, error) {
	return k.up(ctx, func() { tap(k.wanted) })
}

// up is Up, which calls waits each time that it begins to.
func (k *Keeper) up(ctx context.Context, waits func()) (*Link, error) {
	for {
		k.mu.Lock()
		link, changed, status := k.link, k.changed, k.status
		k.mu.Unlock()
		if isClosed(k.ended) {
			return nil, fmt.Errorf("link to %s: %w", k.options.Name, ErrKeeperEnded)
		}
		if link != nil && !isClosed(link.Done()) {
			return link, nil
		}
		waits()
		select {
		case <-changed:
		case <-k.ended: // said above
		case <-ctx.Done():
			if status.Err == nil {
				return nil, fmt.Errorf("no link to %s yet: %w", k.options.Name, ctx.Err())
			}
			return nil, wrapHinted("no link to "+k.options.Name, classified(ctx.Err(), status.Err))
		}
	}
}

// Dial connects from the host to an address there: network "tcp" with host:port, or "unix" with a socket's path. It waits for the link as
// long as ctx allows, and where the link turns out to be dead before the connection is made, for the next one; that it is dead is found out
// within 6 s.
//
// Errors are those of Up, and ErrForbidden, ErrFarDial and ErrLinkLost.
func (k *Keeper) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	for again := true; ; again = false {
		link, err := k.Hurry(ctx)
		if err != nil {
			return nil, err
		}
		probe := time.AfterFunc(openPatience, func() { link.probe("a connection that was not answered") })
		conn, err := link.dial(ctx, network, address)
		probe.Stop()
		if err == nil || !again || !errors.Is(err, ErrLinkLost) {
			return conn, err
		}
		select { // the link's users may hear of its end before the link does
		case <-link.Done():
		case <-ctx.Done():
			return nil, err
		}
	}
}
