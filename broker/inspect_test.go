package broker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// TestOnlyLoopbackIsDialled has a server announce where else the broker might connect to.
func TestOnlyLoopbackIsDialled(t *testing.T) {
	for announced, code := range map[string]api.Code{
		"0.0.0.0:9229":              api.CodeExposed,
		"[::]:9229":                 api.CodeExposed,
		"169.254.169.254:80":        api.CodeExposed,
		"10.0.0.7:22":               api.CodeExposed,
		"[::ffff:10.0.0.7]:22":      api.CodeExposed,
		"db.internal:5432":          api.CodeNotReady,
		"localhost:22":              api.CodeNotReady,
		"127.0.0.1":                 api.CodeNotReady,
		"127.0.0.1:0":               api.CodeNotReady,
		"127.0.0.1:99999":           api.CodeNotReady,
		"127.0.0.1:-1":              api.CodeNotReady,
		"/run/user/0/bus":           api.CodeNotReady,
		"unix:/var/run/docker.sock": api.CodeNotReady,
		strings.Repeat("x", 9000):   api.CodeNotReady,
	} {
		host := newFakeHost(announced)
		f := newFixtureAt(t, fakeAdapter{}, host, t.TempDir()+"/db")
		v := awaitEnd(t, f.open(t, api.OpenRequest{Program: []string{"App"}}))
		if v.Error == nil || v.Error.Code != code || len(v.Error.Message) > 1000 {
			t.Errorf("%.40q: %+v", announced, v.Error)
		}
		if n := host.remaining(); n != 0 {
			t.Errorf("%.40q: %d workspaces are left", announced, n)
		}
	}
}

func TestWebsocketPaths(t *testing.T) {
	r := &rig{}
	for path, good := range map[string]bool{
		"/0f2c936f-b1cd-4ac9-aab3-f63b0f33d55e": true,
		"/x&ws=evil.example/y":                  false,
		"//evil.example/":                       false,
		"/a?b":                                  false,
		"/\x1b]0;x":                             false,
		"/":                                     false,
		"/" + strings.Repeat("x", 200):          false,
	} {
		if err := r.setPath(path); (err == nil) != good {
			t.Errorf("%.40q: %v", path, err)
		}
	}
}

// adopting plans as fakeAdapter does, and wants the listener's process.
type adopting struct{ fakeAdapter }

func (a adopting) Plan(r adapters.Request) (adapters.Plan, error) {
	p, err := a.fakeAdapter.Plan(r)
	p.AdoptListener = true
	if r.Mode == adapters.Port {
		p.Argv, p.Ready, p.Address = nil, adapters.Ready{}, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(r.Port)).String()
	}
	return p, err
}

// TestListenersAreJudged: the host's uid is 1000, the server's pid 4242, its port 40000.
func TestListenersAreJudged(t *testing.T) {
	own := tunnel.Listener{Addr: "127.0.0.1", Port: 40000, UID: 1000, PID: 4243}
	for name, c := range map[string]struct {
		sockets []tunnel.Listener
		port    bool
		code    api.Code
		warning string // "" is none that begins with the server's or the host's name
		adopted []int
	}{
		"loopback":                 {sockets: []tunnel.Listener{own}, adopted: []int{4243}},
		"every address":            {sockets: []tunnel.Listener{{Addr: "0.0.0.0", Port: 40000, UID: 1000, PID: 4243}}, code: api.CodeExposed},
		"every address, IPv6":      {sockets: []tunnel.Listener{{Addr: "::", Port: 40000, UID: 1000}}, code: api.CodeExposed},
		"every address, uid ?":     {sockets: []tunnel.Listener{{Addr: "0.0.0.0", Port: 40000, UID: -1}}, code: api.CodeExposed},
		"a second socket":          {sockets: []tunnel.Listener{own, {Addr: "10.0.0.7", Port: 40000, UID: 1000, PID: 4243}}, code: api.CodeExposed},
		"the program's own port":   {sockets: []tunnel.Listener{own, {Addr: "10.0.0.7", Port: 40000, UID: 1000, PID: 99}, {Addr: "0.0.0.0", Port: 80, UID: 1000, PID: 4243}}, adopted: []int{4243}},
		"another user's beside it": {sockets: []tunnel.Listener{own, {Addr: "10.0.0.7", Port: 40000, UID: 1001, PID: 5}, {Addr: "127.0.0.2", Port: 40000, UID: 1001, PID: 5}}, adopted: []int{4243}},
		"another user's instead":   {sockets: []tunnel.Listener{{Addr: "127.0.0.1", Port: 40000, UID: 1001, PID: 5}}, code: api.CodeNotReady},
		"not shown":                {sockets: nil, warning: "could not be checked"},
		"port":                     {port: true, sockets: []tunnel.Listener{own}},
		"port: root's":             {port: true, sockets: []tunnel.Listener{{Addr: "127.0.0.1", Port: 40000}}},
		"port: another user's":     {port: true, sockets: []tunnel.Listener{{Addr: "127.0.0.1", Port: 40000, UID: 1001}}, warning: "belongs to another user (uid 1001)"},
		"port: every address":      {port: true, sockets: []tunnel.Listener{{Addr: "0.0.0.0", Port: 40000, UID: 1000}}, warning: "everybody who reaches the host"},
		"port: elsewhere":          {port: true, sockets: []tunnel.Listener{{Addr: "10.0.0.7", Port: 40000, UID: 1000}}, code: api.CodeNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			host := newFakeHost("127.0.0.1:40000")
			host.sockets = c.sockets
			f := newFixtureAt(t, adopting{}, host, t.TempDir()+"/db")
			req := api.OpenRequest{Program: []string{"App"}}
			if c.port {
				req = api.OpenRequest{Port: 40000}
			}
			v := f.open(t, req).snapshot()
			if c.code != "" {
				if v.Error == nil || v.Error.Code != c.code {
					t.Errorf("%+v", v.Error)
				}
				return
			}
			if v.Phase != api.PhaseReady {
				t.Errorf("%s, %+v", v.Phase, v.Error)
			}
			if told := slices.ContainsFunc(v.Warnings, func(w string) bool { return c.warning != "" && strings.Contains(w, c.warning) }); told != (c.warning != "") || c.warning == "" && len(v.Warnings) != 1 {
				t.Errorf("warnings %q", v.Warnings)
			}
			if !slices.Equal(host.adopted, c.adopted) {
				t.Errorf("adopted %v", host.adopted)
			}
		})
	}
}
