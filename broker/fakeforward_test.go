package broker

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// fakeReach is the hosts, as they behave when the test says so.
type fakeReach struct {
	mu      sync.Mutex
	hops    map[string]tunnel.Hop
	down    map[string]error // why a host does not let us in
	keepers map[string]*fakeKeeper
	dials   int
	hold    chan struct{} // Connect waits until it is closed, where it is set
}

func newFakeReach() *fakeReach {
	return &fakeReach{hops: map[string]tunnel.Hop{}, down: map[string]error{}, keepers: map[string]*fakeKeeper{}}
}

func (r *fakeReach) resolve(_ context.Context, name string, _ api.Caller) (tunnel.Target, api.Caller, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	hop := r.hops[name]
	hop.Alias, hop.HostName = name, name
	return tunnel.NewTarget([]tunnel.Hop{hop}), api.Caller{}, nil
}

func (r *fakeReach) Names(context.Context) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name := range r.hops {
		names = append(names, name)
	}
	return names, nil
}

func (r *fakeReach) Connect(ctx context.Context, name string, _ api.Caller, _ func(string)) (tunnel.Host, error) {
	r.mu.Lock()
	r.dials++
	err, hold := r.down[name], r.hold
	r.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return newFakeHost("").connect(), nil
}

func (r *fakeReach) keep(name string, changed func()) keeper {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := &fakeKeeper{r: r, name: name, changed: changed, again: make(chan struct{}, 1)}
	r.keepers[name] = k
	return k
}

// set makes a host let us in (nil), or says why it does not, from now on.
func (r *fakeReach) set(name string, err error) {
	r.mu.Lock()
	r.down[name] = err
	k := r.keepers[name]
	r.mu.Unlock()
	if k != nil {
		k.Retry()
	}
}

type fakeKeeper struct {
	r       *fakeReach
	name    string
	changed func()
	again   chan struct{}

	mu sync.Mutex
	st tunnel.KeeperStatus
}

func (k *fakeKeeper) Run(ctx context.Context) error {
	for {
		k.r.mu.Lock()
		err := k.r.down[k.name]
		k.r.mu.Unlock()
		st := tunnel.KeeperStatus{State: tunnel.LinkUp}
		if err != nil {
			st = tunnel.KeeperStatus{State: tunnel.LinkWaiting, Err: err}
			if !worthWaiting(err) {
				st.State = tunnel.LinkNeedsAuth
			}
		}
		k.mu.Lock()
		k.st = st
		k.mu.Unlock()
		k.changed()
		select {
		case <-k.again:
		case <-ctx.Done():
			return nil
		}
	}
}

func (k *fakeKeeper) Retry() {
	select {
	case k.again <- struct{}{}:
	default:
	}
}

func (k *fakeKeeper) Status() tunnel.KeeperStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.st
}

func (k *fakeKeeper) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("not here")
}
func (k *fakeKeeper) Up(context.Context) (*tunnel.Link, error) { return nil, errors.New("not here") }
func (k *fakeKeeper) Hurry(context.Context) (*tunnel.Link, error) {
	return nil, errors.New("not here")
}

// fakePorts is this machine's ports, which carriers listen on.
type fakePorts struct {
	mu       sync.Mutex
	taken    map[int]bool
	refused  map[int]error // what a host says to a remote forward that would listen there
	carriers []*fakeCarrier
}

func (p *fakePorts) carry(spec tunnel.ForwardSpec, _ tunnel.Via, o tunnel.ForwardOptions) (carrier, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &fakeCarrier{p: p, spec: spec, o: o, st: tunnel.ForwardStatus{State: "up", Listen: spec.Listen}}
	p.carriers = append(p.carriers, c)
	return c, nil
}

func (p *fakePorts) take(port int, taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken[port] = taken
}

// last is the newest carrier.
func (p *fakePorts) last() *fakeCarrier {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.carriers[len(p.carriers)-1]
}

// moved makes a carrier listen on another port.
func (p *fakePorts) moved(c *fakeCarrier, port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.st.Listen.Port = port
}

// open are the ports that carriers listen on.
func (p *fakePorts) open() (ports []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.carriers {
		if c.bound {
			ports = append(ports, c.st.Listen.Port)
		}
	}
	slices.Sort(ports)
	return ports
}

type fakeCarrier struct {
	p         *fakePorts
	spec      tunnel.ForwardSpec
	o         tunnel.ForwardOptions
	st        tunnel.ForwardStatus // p.mu guards it, and the rest
	bound     bool
	restarted int
}

func (c *fakeCarrier) Bind(context.Context) error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.spec.Kind == tunnel.ForwardRemote {
		if err := c.p.refused[c.spec.Listen.Port]; err != nil {
			c.st.State, c.st.Err = "failed", err
		}
		if c.spec.Listen.Path == "" && c.spec.Listen.Port == 0 {
			c.st.Listen.Port = cmp.Or(c.o.FarPort, 30000+len(c.p.carriers))
		}
		c.st.Looked = true
		return nil
	}
	port := c.spec.Listen.Port
	for p := 20000; port == 0; p++ {
		if !c.p.taken[p] {
			port = p
		}
	}
	if c.p.taken[port] {
		return apiErrorf(api.CodePortBusy, "", "port %d: nc (pid 7) has it", port)
	}
	c.p.taken[port], c.bound = true, true
	c.st.Listen.Port = port
	return nil
}

func (c *fakeCarrier) Run(ctx context.Context) error {
	<-ctx.Done()
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.bound {
		c.bound = false
		delete(c.p.taken, c.st.Listen.Port)
	}
	return nil
}

func (c *fakeCarrier) Restart() {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.restarted++
}

func (c *fakeCarrier) Status() tunnel.ForwardStatus {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.st
}
