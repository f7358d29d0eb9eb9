package tunnel

// newShellHost stands in for the real one in shellhost.go. Delete this file when the two meet.
func newShellHost(name string, c carrier, warnings []string, release func()) *shellHost {
	return &shellHost{name: name, c: c, warnings: warnings, release: release}
}

type shellHost struct {
	Host
	name     string
	c        carrier
	warnings []string
	release  func()
}

func (h *shellHost) Name() string          { return h.name }
func (h *shellHost) Done() <-chan struct{} { return h.c.done() }
func (h *shellHost) Err() error            { return h.c.err() }
func (h *shellHost) Warnings() []string    { return h.warnings }
func (h *shellHost) Release()              { h.release() }
