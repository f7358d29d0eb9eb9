package tunnel

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// overSSHD gives a Host over a real sshd whose users have a login shell of our choice, as the pool gives it.
func overSSHD(t *testing.T, options sshd.Options) Host {
	t.Helper()
	server := runSSHD(t, options)
	return pooledHost(t, server.hop(t, server.IdentityFile()))
}

// pooledHost is a Host of a pool of its own.
func pooledHost(t *testing.T, hop Hop) Host {
	t.Helper()
	h, err := runPool(t, PoolOptions{}).Host(t.Context(), "box", NewTarget([]Hop{hop}), Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Release)
	return h
}

// The suite's tests run side by side, and so over several connections, since the server allows ten commands on each.
func TestHostOverSSHD(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	testHost(t, overSSHD(t, sshd.Options{Shell: tools.NeedShell(t, "fish")}))
}

func TestLoginShellsOverSSHD(t *testing.T) {
	for _, name := range loginShells {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { goleak.VerifyNone(t) })
			h := overSSHD(t, sshd.Options{Shell: tools.NeedShell(t, name), Noise: "noise\nand more"})
			t.Run("words", func(t *testing.T) { suiteWords(t, h) })
			t.Run("exits", func(t *testing.T) { suiteExits(t, h) })
			t.Run("normal end", func(t *testing.T) { suiteNormalEnd(t, h) })
			t.Run("stdin", func(t *testing.T) { suiteStdin(t, h) })
		})
	}
}

// The connection ends, and with it everything that was started over it.
func TestLinkLostOverSSHD(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	server := runSSHD(t, sshd.Options{})
	hop := server.hop(t, server.IdentityFile())
	line, cut := behindCutter(t, server, hop)
	h := pooledHost(t, cut)
	ws := suiteDir(t, pooledHost(t, hop))
	p := suiteSh(t, h, ws, "trap '' TERM; (trap '' TERM; sleep 1000) & echo $!; while :; do sleep 1; done")
	child := identify(t, linePID(t, p.Stdout()))
	if !runs(p.ID()) || !runs(child) {
		t.Fatal("it does not run")
	}
	line.Cut()
	if exit, err := p.Wait(suiteContext(t)); !errors.Is(err, ErrLinkLost) {
		t.Errorf("%v, %v", exit, err)
	}
	eventually(t, "everything is gone", func() bool {
		return !runs(p.ID()) && !runs(child) && !exists(ws) && len(members(p.ID().PID)) == 0
	})
}
