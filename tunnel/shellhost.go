package tunnel

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// shellHost is a Host over nothing but a carrier that runs a POSIX shell: plain SSH, or this machine.
//
// It holds no connection of its own and no goroutine beyond its calls but one a Process, which waits for its end. What it starts
// hangs on its channel: when that closes, for whatever reason, a lifeline at the far side (scripts/start.sh) ends it.
type shellHost struct {
	name     string
	carrier  carrier
	command  string     // shellCommand or rootCommand
	base     *shellHost // whose AsRoot it is; nil for one of the login user
	warnings []string
	release  func()
	once     sync.Once

	facts chan *Facts // one slot: asked once, without a lock over the question

	rootOnce sync.Once
	root     *shellHost
}

// newShellHost makes a Host of a carrier. release is called once, by Release.
func newShellHost(name string, c carrier, warnings []string, release func()) *shellHost {
	h := &shellHost{name: name, carrier: c, command: shellCommand, warnings: warnings, release: release, facts: make(chan *Facts, 1)}
	h.facts <- nil
	return h
}

var _ Host = (*shellHost)(nil)

func (h *shellHost) Name() string          { return h.name }
func (h *shellHost) Done() <-chan struct{} { return h.carrier.done() }
func (h *shellHost) Err() error            { return h.carrier.err() }
func (h *shellHost) Warnings() []string    { return append([]string(nil), h.warnings...) }
func (h *shellHost) Release()              { h.once.Do(h.release) }

func (h *shellHost) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	switch network {
	case "tcp", "unix":
		return h.carrier.dial(ctx, network, address)
	}
	return nil, fmt.Errorf("dial %s: unknown network", network)
}

// Run is as in Host. When ctx ends first the script's process group is ended at the far side.
func (h *shellHost) Run(ctx context.Context, text string) (Result, error) {
	res, err := h.run(ctx, text, maxStdout)
	if err != nil {
		return Result{}, fmt.Errorf("run script: %w", err)
	}
	return res, nil
}

func (h *shellHost) run(ctx context.Context, text string, limit int) (Result, error) {
	mark := newMarker()
	var s script
	body, err := s.set("dbk_script", text).include("run").words(mark.end()).done()
	if err != nil {
		return Result{}, err
	}
	t, err := h.talk(ctx, body, mark, false)
	if err != nil {
		return Result{}, err
	}
	return t.finish(ctx, limit)
}

// runScript runs what s holds.
func (h *shellHost) runScript(ctx context.Context, s *script, limit int) (Result, error) {
	text, err := s.done()
	if err != nil {
		return Result{}, err
	}
	return h.run(ctx, text, limit)
}
