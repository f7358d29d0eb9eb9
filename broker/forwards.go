package broker

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs"
	"github.com/debugbroker/debugbroker/store"
	"github.com/debugbroker/debugbroker/tunnel"
)

const (
	maxForwards = 1024 // kept at once
	// forwardWait is how long a request for forwards waits to learn how their host is.
	forwardWait = 10 * time.Second
	// farLook is how long a request waits to learn where the host's server really listens.
	farLook = 3 * time.Second
	// forwardEnd bounds the wait for the end of a forward that was told to end.
	forwardEnd = 10 * time.Second
)

// Who asked for a forward: api.Forward's Source.
const (
	byCommand   = "command"
	byConfig    = "config"
	bySSHConfig = "ssh-config"
)

// reach is what forwards need of the hosts: *Hosts, or what stands for it in tests.
type reach interface {
	// resolve reads the ssh configuration for a name.
	resolve(ctx context.Context, name string, own api.Caller) (tunnel.Target, api.Caller, error)
	// Connect makes a link to a host, or finds the one that is there.
	Connect(ctx context.Context, name string, own api.Caller, progress func(string)) (tunnel.Host, error)
	// keep makes what keeps a link to a host up; it does so while its Run runs. changed is told of each change of its Status.
	keep(name string, changed func()) keeper
	// Names lists the hosts of the ssh configuration.
	Names(ctx context.Context) ([]string, error)
}

// keeper keeps a link up: *tunnel.Keeper.
type keeper interface {
	tunnel.Via
	Run(ctx context.Context) error
	Retry()
	Status() tunnel.KeeperStatus
}

// carrier carries a forward: *tunnel.Forward.
type carrier interface {
	Bind(ctx context.Context) error
	Run(ctx context.Context) error
	Restart()
	Status() tunnel.ForwardStatus
}

// forwards owns the forwards. Each has a goroutine (forward.run), and each host that has any has another, which keeps its link up
// (forwardHost). run waits for all of them.
type forwards struct {
	config  configs.Config
	store   *store.Store
	hosts   reach
	carry   func(tunnel.ForwardSpec, tunnel.Via, tunnel.ForwardOptions) (carrier, error)
	events  *events
	log     hclog.Logger
	tracker Tracker       // something has changed that a watcher would see
	dirty   chan struct{} // a token: something may have changed

	mu     sync.Mutex // never held across I/O, nor a call of a carrier or keeper
	closed bool
	all    []*forward // in the order of their coming
	links  map[string]*forwardHost
}

func newForwards(cfg configs.Config, st *store.Store, hosts reach, ev *events, log hclog.Logger) *forwards {
	return &forwards{
		config: cfg, store: st, hosts: hosts, events: ev, log: log, dirty: make(chan struct{}, 1), links: make(map[string]*forwardHost),
		carry: func(spec tunnel.ForwardSpec, via tunnel.Via, o tunnel.ForwardOptions) (carrier, error) {
			return tunnel.NewForward(spec, via, o)
		},
	}
}

// run starts the forwards that recover has enrolled, tells of changes until ctx is done, and then ends all.
func (m *forwards) run(ctx context.Context) {
	m.mu.Lock()
	recovered := slices.Clone(m.all)
	m.mu.Unlock()
	for _, f := range recovered {
		m.start(f)
		f.link.begin()
	}
	for ended := false; !ended; {
		select {
		case <-m.dirty:
			m.announce()
		case <-ctx.Done():
			ended = true
		}
	}
	m.mu.Lock()
	m.closed = true
	all := slices.Clone(m.all)
	links := make([]*forwardHost, 0, len(m.links))
	for _, l := range m.links {
		links = append(links, l)
	}
	m.mu.Unlock()
	var ends sync.WaitGroup
	for _, f := range all {
		ends.Go(f.stop)
	}
	ends.Wait()
	for _, l := range links {
		ends.Go(l.end)
	}
	ends.Wait()
}

// changed says that something may have changed. It never blocks.
func (m *forwards) changed() {
	select {
	case m.dirty <- struct{}{}:
	default:
	}
}

// announce tells of forwards that have come into another state.
func (m *forwards) announce() {
	for _, f := range m.list() {
		f.rememberFarPort()
		v := f.view()
		m.mu.Lock()
		news := v.State != api.ForwardWaiting || v.Error != nil || f.shown != ""
		tell := f.kept && !f.ending && f.shown != v.State && news
		if tell {
			f.shown, f.since = v.State, time.Now()
		}
		m.mu.Unlock()
		if tell {
			m.events.add("", "forward-"+string(v.State), eventText(v))
			m.log.Info("forward", "forward", v.Name, "state", v.State, "error", errorText(v.Error))
		}
	}
	m.tracker.Bump()
}

// eventText is a forward in one line: "pg: 127.0.0.1:5432 to db:5432 on web1".
func eventText(v api.Forward) string {
	text := v.Name + ": " + v.Listen
	if v.Target != "" {
		text += " to " + v.Target
	}
	text += " on " + v.Host
	if v.Error != nil && v.State != api.ForwardUp {
		text += ": " + v.Error.Message
	}
	return text
}

func errorText(e *api.Error) string {
	if e == nil {
		return ""
	}
	return e.Message
}

func (m *forwards) list() []*forward {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.all)
}

// views returns all forwards as users see them, in the order of their names.
func (m *forwards) views() []api.Forward {
	out := []api.Forward{}
	for _, f := range m.list() {
		out = append(out, f.view())
	}
	slices.SortFunc(out, func(a, b api.Forward) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// count tells how many forwards each host has.
func (m *forwards) count() map[string]int {
	n := make(map[string]int)
	for _, f := range m.list() {
		n[f.host]++
	}
	return n
}

// linkOf is the link that is kept up to a host; nil where none is.
func (m *forwards) linkOf(host string) *api.Link {
	m.mu.Lock()
	l := m.links[host]
	m.mu.Unlock()
	if l == nil {
		return nil
	}
	st := l.keeper.Status()
	link := &api.Link{State: st.State}
	if st.Err != nil {
		link.Error = waitError(host, st)
	}
	return link
}

// retry makes a host be tried at once: something has happened that may let us in.
func (m *forwards) retry(host string) {
	m.mu.Lock()
	l := m.links[host]
	m.mu.Unlock()
	if l != nil {
		l.keeper.Retry()
	}
}

// find returns a forward by its name.
func (m *forwards) find(name string) (*forward, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.all {
		if f.name == name && !f.ending {
			return f, nil
		}
	}
	return nil, apiErrorf(api.CodeUnknownForward, "brokerctl forwards lists them", "no forward %q", name)
}

// remove ends a forward and forgets it. Its port is free when it returns.
func (m *forwards) remove(name string) (api.Forward, error) {
	f, err := m.find(name)
	if err != nil {
		return api.Forward{}, err
	}
	v := f.view()
	if !m.drop(f) {
		return api.Forward{}, apiErrorf(api.CodeUnknownForward, "brokerctl forwards lists them", "no forward %q", name) // somebody was faster
	}
	if f.source == byCommand {
		if err := m.store.DeleteForward(name); err != nil {
			return api.Forward{}, err
		}
	}
	v.State, v.Connections, v.Error = api.ForwardRemoved, 0, nil
	m.events.add("", "forward-removed", eventText(v))
	m.log.Info("forward removed", "forward", name)
	return v, nil
}

// drop ends a forward and takes it out of the list; false where somebody else does already.
func (m *forwards) drop(f *forward) bool {
	m.mu.Lock()
	if f.ending {
		m.mu.Unlock()
		return false
	}
	f.ending = true
	m.mu.Unlock()
	f.stop()
	m.mu.Lock()
	m.all = slices.DeleteFunc(m.all, func(o *forward) bool { return o == f })
	var idle *forwardHost
	if f.link.users--; f.link.users == 0 {
		idle = f.link
		delete(m.links, f.host)
	}
	m.mu.Unlock()
	close(f.gone)
	if idle != nil {
		idle.end()
	}
	m.tracker.Bump()
	return true
}

// restart drops a forward's connections and begins anew: with its host too, where that is not connected.
func (m *forwards) restart(name string) (api.Forward, error) {
	f, err := m.find(name)
	if err != nil {
		return api.Forward{}, err
	}
	m.mu.Lock()
	c := f.carrier
	m.mu.Unlock()
	if c != nil {
		c.Restart()
	}
	f.tryNow()
	if f.link.keeper.Status().State != tunnel.LinkUp {
		f.link.keeper.Retry()
	}
	m.events.add("", "forward-restarted", f.name+" on "+f.host)
	return f.view(), nil
}
