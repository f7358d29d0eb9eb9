//go:build linux

package netns_test

import (
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/netns"
)

func TestJoinedSpacesReachEachOther(t *testing.T) {
	a, b := netns.New(t, "a"), netns.New(t, "b")
	netns.Join(a, b, "tob", "toa", netip.MustParsePrefix("10.77.0.1/24"), netip.MustParsePrefix("10.77.0.2/24"))
	a.Address("tob", netip.MustParsePrefix("fd77::1/64"))
	b.Address("toa", netip.MustParsePrefix("fd77::2/64"))
	for _, addr := range []string{"10.77.0.2:0", "[fd77::2]:0"} {
		var l net.Listener
		var c net.Conn
		if err := b.Do(func() (err error) { l, err = net.Listen("tcp", addr); return err }); err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			if c, err := l.Accept(); err == nil {
				_, _ = io.WriteString(c, "here")
				c.Close()
			}
		}()
		if err := a.Do(func() (err error) { c, err = net.DialTimeout("tcp", l.Addr().String(), 10*time.Second); return err }); err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got, err := io.ReadAll(c); err != nil || string(got) != "here" {
			t.Errorf("%q, %v", got, err)
		}
		if c, err := net.DialTimeout("tcp", l.Addr().String(), time.Second); err == nil {
			c.Close()
			t.Errorf("%s is reached from outside", l.Addr())
		}
	}
	argv := a.Argv("ip", "-brief", "address", "show", "tob")
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil || !strings.Contains(string(out), "10.77.0.1") {
		t.Errorf("%s, %v", out, err)
	}
}
