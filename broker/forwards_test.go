package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs"
	"github.com/debugbroker/debugbroker/store"
	"github.com/debugbroker/debugbroker/tunnel"
)

// forwardRig is the forwards of one brokerd after the other, over a database and ports that stay.
type forwardRig struct {
	t     *testing.T
	db    string
	hosts *fakeReach
	ports *fakePorts
	cfg   configs.Config

	*forwards
	end func() // as brokerd ends
}

// newForwardRig must be called in a bubble of synctest.
func newForwardRig(t *testing.T) *forwardRig {
	r := &forwardRig{
		t: t, db: filepath.Join(t.TempDir(), "db"), hosts: newFakeReach(), cfg: configs.Default(),
		ports: &fakePorts{taken: map[int]bool{}, refused: map[int]error{}},
	}
	r.start()
	t.Cleanup(func() { r.end() })
	return r
}

func (r *forwardRig) start() {
	r.t.Helper()
	st, err := store.Open(context.Background(), r.db, store.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.forwards = newForwards(r.cfg, st, r.hosts, &events{}, hclog.NewNullLogger())
	r.forwards.carry = r.ports.carry
	if err := r.forwards.recover(); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	m := r.forwards
	go func() {
		defer close(over)
		m.takeSSHForwards(ctx)
		m.run(ctx)
	}()
	r.end = func() {
		cancel()
		<-over
		st.Close()
		r.end = func() {}
	}
	synctest.Wait()
}

func (r *forwardRig) restart() {
	r.t.Helper()
	r.end()
	r.start()
}

// request is "local 5432:db:5432" and so on, through web1.
func request(texts ...string) api.ForwardRequest {
	req := api.ForwardRequest{Host: "web1"}
	for _, text := range texts {
		kind, spec, _ := strings.Cut(text, " ")
		req.Forwards = append(req.Forwards, api.ForwardSpec{Kind: kind, Spec: spec})
	}
	return req
}

func (r *forwardRig) ask(req api.ForwardRequest) ([]api.Forward, error) {
	list, err := r.add(context.Background(), req)
	synctest.Wait()
	return list, err
}

// must adds forwards, all of which must be kept.
func (r *forwardRig) must(req api.ForwardRequest) []api.Forward {
	r.t.Helper()
	list, err := r.ask(req)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, v := range list {
		if v.Name == "" {
			r.t.Fatalf("not kept: %v", v.Error)
		}
	}
	return list
}

// state is "pg up 127.0.0.1:5432" for each forward.
func (r *forwardRig) state() string {
	var all []string
	for _, v := range r.views() {
		all = append(all, fmt.Sprintf("%s %s %s", v.Name, v.State, v.Listen))
	}
	return strings.Join(all, ", ")
}

func (r *forwardRig) want(want string) {
	r.t.Helper()
	synctest.Wait()
	if got := r.state(); got != want {
		r.t.Errorf("forwards: %s; want %s", got, want)
	}
}

func (r *forwardRig) code(err error, want api.Code) {
	r.t.Helper()
	if e := asAPI(err); e == nil || e.Code != want {
		r.t.Errorf("error %v, want %s", err, want)
	}
}

func bubble(t *testing.T, f func(t *testing.T, r *forwardRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newForwardRig(t)) })
}

func TestForwardsAreKept(t *testing.T) {
	bubble(t, func(t *testing.T, r *forwardRig) {
		req := request("local 5432:db:5432", "remote 9000:localhost:3000", "socks 0")
		list := r.must(req)
		if list[0].Name != "web1-5432" || list[0].State != api.ForwardUp || list[0].Source != "command" || list[0].Target != "db:5432" || list[0].Error != nil {
			t.Errorf("%+v", list[0])
		}
		r.want("web1-5432 up 127.0.0.1:5432, web1-9000 up 127.0.0.1:9000, web1-socks up 127.0.0.1:20000")
		again := r.must(req)
		if again[2].Name != "web1-socks" || again[2].Listen != "127.0.0.1:20000" {
			t.Errorf("asked for again: %+v", again)
		}
		r.want("web1-5432 up 127.0.0.1:5432, web1-9000 up 127.0.0.1:9000, web1-socks up 127.0.0.1:20000")
		r.end()
		if open := r.ports.open(); len(open) > 0 {
			t.Errorf("open after the end: %v", open)
		}
		r.ports.take(19999, true)
		r.start()
		r.want("web1-5432 up 127.0.0.1:5432, web1-9000 up 127.0.0.1:9000, web1-socks up 127.0.0.1:20000")
		if n := r.count()["web1"]; n != 3 {
			t.Errorf("web1 has %d", n)
		}
		if _, err := r.remove("web1-5432"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.remove("web1-5432"); err == nil {
			t.Error("removed twice")
		} else {
			r.code(err, api.CodeUnknownForward)
		}
		if open := r.ports.open(); !slices.Equal(open, []int{20000}) {
			t.Errorf("open: %v", open)
		}
		r.restart()
		r.want("web1-9000 up 127.0.0.1:9000, web1-socks up 127.0.0.1:20000")
	})
}

// TestForwardNames: several of one name are NAME, NAME-2, …, whoever asks, and keep theirs.
func TestForwardNames(t *testing.T) {
	bubble(t, func(t *testing.T, r *forwardRig) {
		req := request("local 1:a:1", "local 2:a:2")
		req.Name = "pg"
		r.must(req)
		other := request("local 3:a:3")
		other.Name = "pg"
		r.must(other)
		r.want("pg up 127.0.0.1:1, pg-2 up 127.0.0.1:2, pg-3 up 127.0.0.1:3")
		if _, err := r.remove("pg"); err != nil {
			t.Fatal(err)
		}
		r.restart()
		r.want("pg-2 up 127.0.0.1:2, pg-3 up 127.0.0.1:3")
		for _, bad := range []string{"a b", "-x", "..", "a/b", "\x1b", strings.Repeat("x", 65)} {
			req.Name = bad
			_, err := r.ask(req)
			r.code(err, api.CodeUsage)
		}
	})
	for want, w := range map[string]wanted{
		"web1-5432":        {host: "me@web1", spec: tunnel.ForwardSpec{Listen: tunnel.Endpoint{Port: 5432}}},
		"web1-80":          {host: "web1", spec: tunnel.ForwardSpec{Target: tunnel.Endpoint{Host: "a", Port: 80}}},
		"web1-docker.sock": {host: "web1", spec: tunnel.ForwardSpec{Listen: tunnel.Endpoint{Path: "/tmp/docker.sock"}}},
		"1-socks":          {host: "::1"},
	} {
		if got := forwardName(w); got != want || configs.ForwardName(got) != "" {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestForwardPortTaken(t *testing.T) {
	bubble(t, func(t *testing.T, r *forwardRig) {
		r.ports.take(5432, true)
		_, err := r.ask(request("local 5432:db:5432"))
		r.code(err, api.CodePortBusy)
		r.want("")
		// One of two: the other is kept.
		list, err := r.ask(request("local 5432:db:5432", "local 5433:db:5432"))
		if err != nil || list[0].Name != "" || list[0].State != api.ForwardFailed || list[0].Error.Code != api.CodePortBusy || list[1].Name != "web1-5433" {
			t.Errorf("%+v, %v", list, err)
		}
		r.want("web1-5433 up 127.0.0.1:5433")
		// Unless the ssh configuration says otherwise.
		r.hosts.hops["web1"] = tunnel.Hop{ExitOnForwardFailure: true}
		_, err = r.ask(request("local 5434:db:5432", "local 5432:db:5432"))
		r.code(err, api.CodePortBusy)
		r.want("web1-5433 up 127.0.0.1:5433")
		// Our own has it: it is named.
		_, err = r.ask(request("local 5433:other:1"))
		r.code(err, api.CodePortBusy)
		if !strings.Contains(err.Error(), "web1-5433") {
			t.Errorf("%v", err)
		}
	})
}

// TestForwardPortTakenMeanwhile: a restored forward waits for its port, and never takes another.
func TestForwardPortTakenMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T, r *forwardRig) {
		r.must(request("local 5432:db:5432", "socks 0"))
		r.end()
		r.ports.take(5432, true)
		r.ports.take(20000, true)
		r.start()
		r.want("web1-5432 failed 127.0.0.1:5432, web1-socks failed 127.0.0.1:0")
		if v := r.views()[0]; v.Error == nil || v.Error.Code != api.CodePortBusy || !strings.Contains(v.Error.Message, "nc (pid 7)") {
			t.Errorf("%+v", v)
		}
		r.ports.take(5432, false)
		time.Sleep(2 * bindAgain)
		r.want("web1-5432 up 127.0.0.1:5432, web1-socks failed 127.0.0.1:0")
		r.ports.take(20000, false)
		r.must(request("socks 0")) // asked for again: tried at once
		r.want("web1-5432 up 127.0.0.1:5432, web1-socks up 127.0.0.1:20000")
	})
}

// TestForwardPortAgain: what was removed gets the port that it had when it is asked for again, if that is free.
func TestForwardPortAgain(t *testing.T) {
	bubble(t, func(t *testing.T, r *forwardRig) {
		r.ports.take(20000, true)
		r.must(request("local 0:db:5432"))
		if _, err := r.remove("web1-5432"); err != nil {
			t.Fatal(err)
		}
		r.ports.take(20000, false)
		r.must(request("local 0:db:5432"))
		r.want("web1-5432 up 127.0.0.1:20001")
		if _, err := r.remove("web1-5432"); err != nil {
			t.Fatal(err)
		}
		r.ports.take(20001, true)
		r.must(request("local 0:db:5432"))
		r.want("web1-5432 up 127.0.0.1:20000")
	})
}

// TestForwardFarPortAgain: the port that a host's server chose is asked for by the next brokerd, and after a removal.
func TestForwardFarPortAgain(t *testing.T) {
	bubble(t, func(t *testing.T, r *forwardRig) {
		r.must(request("remote 0:db:5432"))
		r.want("web1-5432 up 127.0.0.1:30001")
		again := func(held bool) {
			t.Helper()
			r.want("web1-5432 up 127.0.0.1:30001")
			if o := r.ports.last().o; o.FarPort != 30001 || o.FarPortHeld != held {
				t.Errorf("asked for %d, held: %v", o.FarPort, o.FarPortHeld)
			}
		}
		r.restart()
		again(true)
		if _, err := r.remove("web1-5432"); err != nil {
			t.Fatal(err)
		}
		r.must(request("remote 0:db:5432"))
		again(false)
		r.ports.moved(r.ports.last(), 30007) // it was not to be had again
		r.changed()
		synctest.Wait()
		r.restart()
		r.want("web1-5432 up 127.0.0.1:30007")
	})
}

func TestForwardHostAway(t *testing.T) {
	away := fmt.Errorf("dial web1: %w", tunnel.ErrUnreachable)
	bubble(t, func(t *testing.T, r *forwardRig) {
		r.hosts.set("web1", away)
		list := r.must(request("local 5432:db:5432", "remote 1:a:1"))
		if v := list[0]; v.State != api.ForwardWaiting || v.Error == nil || v.Error.Code != api.CodeUnreachable {
			t.Errorf("%+v", v)
		}
		r.want("web1-1 waiting 127.0.0.1:1, web1-5432 waiting 127.0.0.1:5432")
		if open := r.ports.open(); !slices.Equal(open, []int{5432}) {
			t.Errorf("open: %v", open)
		}
		r.hosts.set("web1", nil)
		r.want("web1-1 up 127.0.0.1:1, web1-5432 up 127.0.0.1:5432")
		r.hosts.set("web1", away)
		r.want("web1-1 waiting 127.0.0.1:1, web1-5432 waiting 127.0.0.1:5432")
		var kinds []string
		told, _ := r.events.since(0)
		for _, e := range told {
			kinds = append(kinds, e.Kind+" "+strings.SplitN(e.Text, ":", 2)[0])
		}
		slices.Sort(kinds)
		want := []string{"forward-up web1-1", "forward-up web1-5432", "forward-waiting web1-1", "forward-waiting web1-1", "forward-waiting web1-5432", "forward-waiting web1-5432"}
		if !slices.Equal(kinds, want) {
			t.Errorf("events: %q", kinds)
		}
	})
	// A name that DNS does not know is one that a laptop in a train does not know.
	bubble(t, func(t *testing.T, r *forwardRig) {
		r.hosts.set("web1", tunnel.ErrHostUnresolvable)
		r.must(request("local 5432:db:5432"))
		r.want("web1-5432 waiting 127.0.0.1:5432")
	})
}

// TestForwardHostSlow: whoever asks is told after a while, and the forward is kept; who goes away has nothing kept.
func TestForwardHostSlow(t *testing.T) {
	bubble(t, func(t *testing.T, r *forwardRig) {
		r.hosts.hold = make(chan struct{})
		r.hosts.set("web1", tunnel.ErrUnreachable)
		begin := time.Now()
		r.must(request("local 5432:db:5432"))
		if took := time.Since(begin); took != forwardWait {
			t.Errorf("took %s", took)
		}
		r.want("web1-5432 waiting 127.0.0.1:5432")
		ctx, cancel := context.WithCancelCause(context.Background())
		answered := make(chan error)
		go func() {
			_, err := r.add(ctx, request("local 5433:db:5432"))
			answered <- err
		}()
		synctest.Wait()
		cancel(errCancelled)
		if err := <-answered; !errors.Is(err, errCancelled) {
			t.Errorf("%v", err)
		}
		r.want("web1-5432 waiting 127.0.0.1:5432")
		close(r.hosts.hold)
	})
}

func TestForwardHostRefuses(t *testing.T) {
	for _, why := range []error{tunnel.ErrAuth, tunnel.ErrHostKey, fmt.Errorf("%w: %w", tunnel.ErrNeedsAuth, tunnel.ErrAuth)} {
		bubble(t, func(t *testing.T, r *forwardRig) {
			r.hosts.set("web1", why)
			_, err := r.ask(request("local 5432:db:5432", "socks 1080"))
			if e := asAPI(err); e == nil || e.Code.Exit() != 4 {
				t.Errorf("%v", err)
			}
			r.want("")
			if open := r.ports.open(); len(open) > 0 {
				t.Errorf("open: %v", open)
			}
			r.restart()
			r.want("")
			// One that was let in before is kept, and says what to do.
			r.hosts.set("web1", nil)
			r.must(request("local 5432:db:5432"))
			r.hosts.set("web1", why)
			r.want("web1-5432 waiting 127.0.0.1:5432")
			if e := r.views()[0].Error; e == nil || !strings.Contains(e.Hint, "brokerctl auth web1") {
				t.Errorf("%+v", e)
			}
			_, err = r.ask(request("local 5432:db:5432"))
			if e := asAPI(err); e == nil || e.Code.Exit() != 4 {
				t.Errorf("asked for again: %v", err)
			}
			r.want("web1-5432 waiting 127.0.0.1:5432")
			r.hosts.down["web1"] = nil
			r.retry("web1")
			r.want("web1-5432 up 127.0.0.1:5432")
		})
	}
}

func TestRemoteForwardRefused(t *testing.T) {
	bubble(t, func(t *testing.T, r *forwardRig) {
		r.ports.refused[80] = fmt.Errorf("listen there: %w", tunnel.ErrForbidden)
		_, err := r.ask(request("remote 80:localhost:3000"))
		r.code(err, api.CodeForwarding)
		list, err := r.ask(request("remote 80:localhost:3000", "remote 81:localhost:3000"))
		if err != nil || list[0].Name != "" || list[1].Name != "web1-81" {
			t.Errorf("%+v, %v", list, err)
		}
		r.want("web1-81 up 127.0.0.1:81")
	})
}

func TestForwardRestart(t *testing.T) {
	bubble(t, func(t *testing.T, r *forwardRig) {
		r.must(request("local 1:a:1", "local 2:a:2"))
		if v, err := r.forwards.restart("web1-1"); err != nil || v.Listen != "127.0.0.1:1" {
			t.Errorf("%+v, %v", v, err)
		}
		for _, c := range r.ports.carriers {
			if want := map[int]int{1: 1}[c.spec.Listen.Port]; c.restarted != want {
				t.Errorf("port %d: restarted %d times", c.spec.Listen.Port, c.restarted)
			}
		}
		_, err := r.forwards.restart("nope")
		r.code(err, api.CodeUnknownForward)
	})
}

func TestForwardsOfConfigurations(t *testing.T) {
	bubble(t, func(t *testing.T, r *forwardRig) {
		r.must(request("local 5432:db:5432"))
		yes := true
		r.cfg.Forwards = []configs.Forward{
			{Host: "web1", Local: "5432:db:5432", Name: "same"}, {Host: "web1", Socks: "1080", Name: "proxy", SameUser: true}, {Host: "db", Remote: "9:a:9"},
		}
		r.cfg.Hosts = []configs.Host{{Match: "web*", SSHForwards: &yes}, {Match: "only", SSHForwards: &yes}, {Match: "db"}}
		hop := func(port int) tunnel.Hop {
			return tunnel.Hop{Forwards: []tunnel.ForwardSpec{{Kind: tunnel.ForwardLocal, Listen: tunnel.Endpoint{Port: port}, Target: tunnel.Endpoint{Host: "a", Port: 1}}}}
		}
		r.hosts.hops = map[string]tunnel.Hop{"web2": hop(2), "only": hop(3), "db": hop(4), "web1": {}}
		r.restart()
		want := "db-9 up 127.0.0.1:9, only-3 up 127.0.0.1:3, proxy up 127.0.0.1:1080, web1-5432 up 127.0.0.1:5432, web2-2 up 127.0.0.1:2"
		r.want(want)
		sources := map[string]string{}
		for _, v := range r.views() {
			sources[v.Name] = v.Source
			if v.SameUser != (v.Name == "proxy") {
				t.Errorf("%+v", v)
			}
		}
		if sources["db-9"] != "config" || sources["only-3"] != "ssh-config" || sources["web1-5432"] != "command" {
			t.Errorf("%v", sources)
		}
		db, off := r.hosts.hops["db"].Forwards, false
		if missing := r.passedOver("db", db); len(missing) != 1 {
			t.Errorf("nothing makes %v, and that is told of %v", db, missing)
		}
		for _, name := range []string{"web2", "only"} { // kept
			if missing := r.passedOver(name, r.hosts.hops[name].Forwards); len(missing) > 0 {
				t.Errorf("%s: %v", name, missing)
			}
		}
		if _, err := r.remove("only-3"); err != nil {
			t.Fatal(err)
		}
		if missing := r.passedOver("only", r.hosts.hops["only"].Forwards); len(missing) > 0 {
			t.Errorf("removed, and told: %v", missing)
		}
		if _, err := r.remove("proxy"); err != nil {
			t.Fatal(err)
		}
		r.cfg.Hosts = append(r.cfg.Hosts, configs.Host{Match: "d?", SSHForwards: &off})
		r.restart()
		r.want(want) // the file asks for it
		if missing := r.passedOver("db", db); len(missing) > 0 {
			t.Errorf("nobody wants %v", missing)
		}
		r.cfg.Forwards, r.cfg.Hosts = nil, nil
		r.restart()
		r.want("web1-5432 up 127.0.0.1:5432")
		r.must(api.ForwardRequest{Host: "db", Forwards: []api.ForwardSpec{{Kind: "local", Spec: "4:a:1"}}})
		if missing := r.passedOver("db", db); len(missing) > 0 {
			t.Errorf("made by command: %v", missing)
		}
	})
}

func TestCheckForwards(t *testing.T) {
	cfg := configs.Config{Forwards: []configs.Forward{
		{Line: 3, Host: "web1", Local: "5432:db:5432"}, {Line: 7, Host: "web1", Local: "5432:db"}, {Line: 9, Host: "web1", Socks: "x:y:z:1"},
	}}
	var e *configs.Error
	err := CheckForwards(cfg, "/c.toml")
	if !errors.As(err, &e) || len(e.Problems) != 2 || !strings.HasPrefix(err.Error(), "/c.toml:7: forward.local: ") {
		t.Errorf("%v", err)
	}
	if err := CheckForwards(configs.Config{Forwards: cfg.Forwards[:1]}, "/c.toml"); err != nil {
		t.Error(err)
	}
}

func TestForwardRequests(t *testing.T) {
	bubble(t, func(t *testing.T, r *forwardRig) {
		for _, req := range []api.ForwardRequest{
			{}, {Host: "web1"}, request("local 5432"), request("sideways 1:a:1"), request("local 1:a:1", "socks x"), {Host: "", Forwards: request("socks 1").Forwards},
			{Host: "web1", SameUser: true, Forwards: request("remote 1:a:1").Forwards},
		} {
			_, err := r.ask(req)
			r.code(err, api.CodeUsage)
		}
		_, err := r.ask(request("local 5432:db"))
		if e := asAPI(err); e == nil || !strings.Contains(e.Hint, "5432:db\n       ^") {
			t.Errorf("%+v", e)
		}
		r.want("")
		if r.hosts.dials > 0 {
			t.Error("a host was asked")
		}
	})
}

// TestForwardLoops: what leads to itself is refused.
func TestForwardLoops(t *testing.T) {
	bubble(t, func(t *testing.T, r *forwardRig) {
		r.must(request("local 5000:localhost:9000"))
		_, err := r.ask(request("remote 9000:127.0.0.1:5000"))
		r.code(err, api.CodeForwardLoop)
		r.must(request("remote 9001:127.0.0.1:5000"))
		f, err := r.find("web1-9001")
		if err != nil {
			t.Fatal(err)
		}
		if r.comesBack(f, "tcp", "localhost:5000") || r.comesBack(f, "tcp", "x") {
			t.Error("5000 leads to 9000, not to 9001")
		}
		r.must(request("local 5001:localhost:9001"))
		if !r.comesBack(f, "tcp", "localhost:5001") {
			t.Error("5001 leads to 9001")
		}
		// A host that is this machine.
		r.must(request("local 7000:localhost:7000")) // may be a container's
		f.link.isHere.Store(true)
		_, err = r.ask(request("local 7001:localhost:7001"))
		r.code(err, api.CodeForwardLoop)
	})
}

// TestForwardsAtOnce: however many ask for the same, it is one; and whoever removes it meanwhile does no harm.
func TestForwardsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, r *forwardRig) {
		answers := make(chan error, 40)
		for i := range 40 {
			go func() {
				if i%4 == 3 {
					_, _ = r.remove("web1-5432")
					answers <- nil
					return
				}
				_, err := r.add(context.Background(), request("local 5432:db:5432"))
				answers <- err
			}()
		}
		for range 40 {
			if err := <-answers; err != nil && asAPI(err).Code != api.CodePortBusy {
				t.Error(err)
			}
		}
		r.must(request("local 5432:db:5432"))
		r.want("web1-5432 up 127.0.0.1:5432")
		if open := r.ports.open(); !slices.Equal(open, []int{5432}) {
			t.Errorf("open: %v", open)
		}
	})
}

func TestAdmitSameUserUnix(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := admitSameUser(conn); err != nil {
		t.Error(err)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if admitSameUser(a) == nil {
		t.Error("one that nothing is known of was let in")
	}
}
