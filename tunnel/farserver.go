package tunnel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"
)

// A server whose connection was lost without a word (a laptop slept, a NAT forgot it) may not notice for hours: sshd sends nothing by itself
// unless ClientAliveInterval is set. Until then its process listens for the forwards of that connection, and the next one cannot. So a
// remote forward notes which processes it asks to listen, and ends those of lost connections when one is in its way.

// servedWait bounds the question who serves a connection: a host that runs no commands must not keep a forward from listening.
const servedWait = 3 * time.Second

// errNoServer says that the process that serves a connection is not known, or not there any more.
var errNoServer = errors.New("no such server process")

// servedBy is what is known of the process that serves a connection. It is asked once.
type servedBy struct {
	turn  chan struct{} // a token: one asks
	asked bool          // the turn's, as are the rest
	id    ProcessID
	err   error
}

// serverProcess tells which process serves the connection at the far side, where that is an sshd that started a shell for us.
//
// Where the connection is another ssh's (a ControlMaster), nobody does for us: that one may be alive when our part of it is lost.
func (c *Conn) serverProcess(ctx context.Context) (ProcessID, error) {
	if c.master != "" {
		return ProcessID{}, errNoServer
	}
	select {
	case c.served.turn <- struct{}{}:
	case <-ctx.Done():
		return ProcessID{}, ctx.Err()
	}
	defer func() { <-c.served.turn }()
	if !c.served.asked {
		asking, cancel := context.WithTimeout(ctx, servedWait)
		defer cancel()
		c.served.id, c.served.err = c.askServer(asking)
		c.served.asked = ctx.Err() == nil
	}
	return c.served.id, c.served.err
}

func (c *Conn) askServer(ctx context.Context) (ProcessID, error) {
	var s script
	s.include("identity", "whoserves")
	res, err := newShellHost(c.hop.name(), connCarrier{c}, nil, func() {}).runScript(ctx, &s, maxStdout)
	if err != nil {
		return ProcessID{}, fmt.Errorf("ask who serves %s: %w", c.hop.name(), err)
	}
	id, ok := parseID(string(res.Stdout))
	if res.Code != 0 || !ok {
		return ProcessID{}, fmt.Errorf("ask who serves %s: %w", c.hop.name(), errNoServer)
	}
	return id, nil
}

// endServer asks the process that served an earlier connection of ours to end. It is signalled only if boot, pid and start time are those
// that were noted, and it is an sshd.
func (c *Conn) endServer(ctx context.Context, id ProcessID) error {
	if !id.valid() || id.PID <= 1 {
		return fmt.Errorf("end the server process %d: %w", id.PID, os.ErrInvalid)
	}
	var s script
	s.set("dbk_want_boot", id.Boot).set("dbk_pid", strconv.Itoa(id.PID)).set("dbk_want_start", id.Start).include("identity", "endserver")
	res, err := newShellHost(c.hop.name(), connCarrier{c}, nil, func() {}).runScript(ctx, &s, maxStdout)
	switch {
	case err != nil:
		return fmt.Errorf("end the server process %d: %w", id.PID, err)
	case res.Code != 0:
		return fmt.Errorf("end the server process %d: %w", id.PID, errNoServer)
	}
	return nil
}

// maxSuspects is how many server processes a forward remembers: on a bad line one after the other is asked, and none is heard to answer.
const maxSuspects = 16

// suspect notes a process that is about to be asked to listen: where its answer is lost with the link, it may listen all the same.
func (f *Forward) suspect(id ProcessID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !id.valid() || slices.Contains(f.servers, id) {
		return
	}
	f.servers = append(f.servers, id)
	f.servers = f.servers[max(0, len(f.servers)-maxSuspects):]
}

// acquit notes that a process does not listen: it has said so.
func (f *Forward) acquit(id ProcessID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.servers = slices.DeleteFunc(f.servers, func(s ProcessID) bool { return s == id })
}

// endStaleServers ends the processes that may serve this forward on links that are lost, and tells whether it did. The one that has just refused
// is none of them.
func (f *Forward) endStaleServers(ctx context.Context, link *Link) (ended bool) {
	f.mu.Lock()
	stale := f.servers
	f.servers = nil // once is enough; one that hangs is not helped by more
	f.mu.Unlock()
	conn := link.first()
	if conn == nil {
		return false
	}
	asking, cancel := context.WithTimeout(ctx, listenWait)
	defer cancel()
	for _, id := range stale {
		if err := conn.endServer(asking, id); err != nil {
			f.log.Debug("remote forward", "stale_server", id.PID, "error", err)
			continue
		}
		f.log.Info("the server process of a lost connection may still have listened, and was ended", "pid", id.PID)
		ended = true
	}
	return ended
}
