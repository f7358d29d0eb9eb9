package tunnel

import (
	"context"
	"errors"
)

// ProcessInfo is a process as the far side shows it. What it does not show of other users' processes is empty.
type ProcessInfo struct {
	ID     ProcessID
	Parent int
	UID    int
	User   string // its name, or the number where it has none
	State  string // R, S, D, T (stopped), t (stopped by a tracer), I: proc(5)
	Tracer int    // pid of who traces it, 0 if nobody
	Argv   []string
	Exe    string // path; a " (deleted)" is cut off
	Cwd    string
	// Marks are what its code is, as far as files tell: "go" (an executable with Go's build information), "libpython", "libjvm",
	// "libnode" (such a library is mapped).
	Marks []string
	// Caught is the set of caught signals, bit N-1 for signal N (SigCgt of proc(5)).
	Caught uint64
	// Container names the container it runs in as far as its control group tells ("docker 3f2a91c0ffee"), or "other namespaces" where
	// only its namespaces differ from ours; "" where it is in ours.
	Container string
	// Unit is the systemd unit of its control group, "" if there is none.
	Unit string
}

// Processes is as in Host.
func (h *shellHost) Processes(ctx context.Context) ([]ProcessInfo, error) {
	return nil, errors.New("not built")
}
