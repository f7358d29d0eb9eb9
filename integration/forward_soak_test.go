package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/answering"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/cutter"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

const (
	soakHosts  = 10
	soakFaults = 1000 // on all hosts together
	// soakRecovery is how long one forward may take until it works again: some keepalives, a login, and a machine that is busy.
	soakRecovery = 90 * time.Second
	// soakTry is one try to get bytes through.
	soakTry = 10 * time.Second
)

// soakHost is one sshd behind a line of its own, and the forwards to it.
type soakHost struct {
	alias    string
	server   *sshd.Server
	line     *cutter.Proxy
	forwards []soakForward
}

// soakForward is one forward, and how an echo is reached through it.
type soakForward struct {
	name string
	dial func(ctx context.Context) (net.Conn, error)
}

// TestForwardsSoak: a thousand faults at random on ten hosts at once, and each time the forwards work again, byte by byte. In the end all
// are there on their ports, and the daemon has neither more goroutines nor more files open than before.
func TestForwardsSoak(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	echo := answering.Local(t, answering.Echo).Port()
	hosts, config := soakSetUp(t)
	broker := brokertest.New(t, brokertest.Options{SSHConfig: config})
	for _, h := range hosts {
		h.forward(t, broker, echo)
	}
	for _, h := range hosts {
		for _, f := range h.forwards {
			if err := f.works(t.Context(), rand.New(rand.NewPCG(seed, 0))); err != nil {
				t.Fatalf("%s before any fault: %v", f.name, err)
			}
		}
	}
	before := settled(t, broker, func(daemonUse) bool { return true })
	kept := soakListing(broker)

	var done atomic.Int64
	var workers sync.WaitGroup
	for i, h := range hosts {
		dice := rand.New(rand.NewPCG(seed, uint64(i+1)))
		workers.Go(func() {
			for done.Add(1) <= soakFaults && !t.Failed() {
				what := h.fault(dice)
				f := h.forwards[dice.IntN(len(h.forwards))]
				if err := f.works(t.Context(), dice); err != nil {
					t.Errorf("%s after %s: %v", f.name, what, err)
				}
			}
		})
	}
	workers.Wait()
	if t.Failed() {
		return
	}
	for _, h := range hosts {
		for _, f := range h.forwards {
			if err := f.works(t.Context(), rand.New(rand.NewPCG(seed, 0))); err != nil {
				t.Errorf("%s in the end: %v", f.name, err)
			}
		}
	}
	// Runtime and resolver may keep a few more or less; a leak at each fault would be hundreds.
	after := settled(t, broker, func(u daemonUse) bool { return u.goroutines <= before.goroutines+8 && u.files <= before.files+4 })
	t.Logf("goroutines %d, then %d; files %d, then %d", before.goroutines, after.goroutines, before.files, after.files)
	if after.goroutines > before.goroutines+8 || after.files > before.files+4 {
		t.Errorf("the daemon has grown: goroutines %d to %d, files %d to %d", before.goroutines, after.goroutines, before.files, after.files)
	}
	if now := soakListing(broker); !slices.Equal(now, kept) {
		t.Errorf("forwards were\n%s\nand are\n%s", strings.Join(kept, "\n"), strings.Join(now, "\n"))
	}
}

// soakSetUp starts the servers. The configuration has short keepalives, so that a silent line is found within seconds.
func soakSetUp(t *testing.T) (hosts []*soakHost, config string) {
	t.Helper()
	var include strings.Builder
	for i := range soakHosts {
		h := &soakHost{alias: fmt.Sprintf("soak%d", i)}
		h.server = sshd.New(t, sshd.Options{Alias: h.alias, MaxStartups: "100"})
		h.line = cutter.New(t, h.server.Addr())
		h.server.Trust(h.line.Port())
		h.server.AddHost(h.alias, "Port "+strconv.Itoa(h.line.Port()), "ServerAliveInterval 1", "ServerAliveCountMax 2", "ConnectTimeout 5")
		fmt.Fprintf(&include, "Include %s\n", h.server.ConfigFile())
		hosts = append(hosts, h)
	}
	config = filepath.Join(t.TempDir(), "ssh_config")
	if err := os.WriteFile(config, []byte(include.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return hosts, config
}

// forward asks for one forward of each kind.
func (h *soakHost) forward(t *testing.T, b *brokertest.Broker, echo int) {
	t.Helper()
	target := "127.0.0.1:" + strconv.Itoa(echo)
	sock := filepath.Join(h.server.TempDir(), "echo.sock")
	answering.Serve(t, "unix", sock, answering.Echo)
	for _, spec := range [][]string{
		{"-L", "127.0.0.1:0:" + target}, {"-L", "127.0.0.1:0:" + sock}, {"-D", "127.0.0.1:0"},
		// Without a link sshd does not listen, and any connection of the machine may get a port of those that port 0 takes.
		{"-R", fmt.Sprintf("127.0.0.1:%d:%s", freeport.On127(t), target)},
	} {
		got := brokertest.JSON[[]api.Forward](b, "forward", h.alias, spec[0], spec[1], "--name", h.alias+spec[0])
		if len(got) != 1 || got[0].State != api.ForwardUp {
			t.Fatalf("forward %s %s: %+v", h.alias, spec, got)
		}
		listen := got[0].Listen
		dial := func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", listen) }
		if spec[0] == "-D" {
			dial = func(ctx context.Context) (net.Conn, error) { return soakSocks(ctx, listen, uint16(echo)) }
		}
		h.forwards = append(h.forwards, soakForward{got[0].Name, dial})
	}
}

// fault does something to the host or its line, and says what.
func (h *soakHost) fault(dice *rand.Rand) string {
	pause := func(most time.Duration) { time.Sleep(time.Duration(dice.Int64N(int64(most)))) } // how long the fault lasts
	switch n := dice.IntN(100); {
	case n < 40:
		h.line.Cut()
		return "a reset"
	case n < 55:
		h.server.KillConnections()
		return "the end of the server's processes"
	case n < 65:
		h.line.BlackHole()
		pause(200 * time.Millisecond)
		h.line.Heal()
		return "a short silence"
	case n < 68:
		h.line.Strand()
		return "a stranded connection"
	case n < 80:
		h.line.Delay(time.Duration(dice.IntN(40)) * time.Millisecond)
		return "another delay"
	case n < 90:
		h.line.Dribble(true)
		h.line.Cut() // the next login comes byte by byte
		pause(100 * time.Millisecond)
		h.line.Dribble(false)
		return "a dribble"
	case n < 95:
		h.line.Cut()
		pause(20 * time.Millisecond)
		h.line.Cut() // in the midst of a handshake
		return "two resets"
	default:
		h.server.Stop()
		h.line.Cut()
		pause(50 * time.Millisecond)
		h.server.Start()
		return "a restart of sshd"
	}
}

// works gets a random message through and back. A connection may be met by the fault itself, so it is tried again for a while.
func (f soakForward) works(ctx context.Context, dice *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, soakRecovery)
	defer cancel()
	message := make([]byte, 1+dice.IntN(128<<10))
	for i := range message {
		message[i] = byte(dice.Uint32())
	}
	var last error
	for ctx.Err() == nil {
		if last = f.carries(ctx, message); last == nil || errors.Is(last, errWrongBytes) {
			return last
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return fmt.Errorf("nothing for %s: %w", soakRecovery, last)
}

// errWrongBytes is never right, whatever the line does: TCP and SSH lose connections and no bytes in their midst.
var errWrongBytes = errors.New("other bytes came back than were sent")

func (f soakForward) carries(ctx context.Context, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, soakTry)
	defer cancel()
	c, err := f.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(message)
		if err == nil {
			err = c.(interface{ CloseWrite() error }).CloseWrite() // the echo ends when it has seen it
		}
		wrote <- err
	}()
	back, err := io.ReadAll(c)
	if err == nil && len(back) < len(message) {
		err = io.ErrUnexpectedEOF
	}
	c.Close()
	err = errors.Join(err, <-wrote)
	if !bytes.HasPrefix(message, back) {
		return errWrongBytes
	}
	return err
}
