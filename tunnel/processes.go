package tunnel

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// ProcessInfo is a process as the far side shows it. What it does not show of other users' processes is empty. All words in it are
// their owner's, and may be made up.
type ProcessInfo struct {
	ID     ProcessID
	Parent int
	UID    int    // the effective one
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
	// only its namespaces differ from ours; "" where it is in ours. A mount namespace of its own on our root directory, as systemd
	// gives services, does not count.
	Container string
	// Unit is the systemd unit of its control group, "" if there is none, or if it is one inside of a container.
	Unit string
	// Group is the path of its control group as systemd has it.
	Group string
}

// maxProcessesText bounds what the far side may say of its processes.
const maxProcessesText = 32 << 20

// Processes is as in Host, of Linux's /proc; elsewhere it is ErrNoProcesses. A command line is cut off at 64 KiB; where somebody's
// processes fill the answer all the same, at 2 KiB. Empty words at its end are left out: programs that write over their command
// line leave such.
func (h *shellHost) Processes(ctx context.Context) ([]ProcessInfo, error) {
	list, err := h.processes(ctx, 64<<10)
	if errors.Is(err, errTooMuch) {
		list, err = h.processes(ctx, 2<<10)
	}
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	return list, nil
}

func (h *shellHost) processes(ctx context.Context, most int) ([]ProcessInfo, error) {
	between, secret := newMarker(), newMarker()
	var s script
	s.set("dbk_m", string(between)).set("dbk_secret", string(secret)).set("dbk_most", strconv.Itoa(most)).include("identity", "processes")
	res, err := h.runScript(ctx, &s, maxProcessesText)
	if err != nil {
		return nil, err
	}
	if res.Code != 0 {
		found := cleanText(string(res.Stdout), 40)
		if found != "" {
			found = " (" + found + ")"
		}
		return nil, noProcesses(fmt.Errorf("the system%s shows no processes in /proc", found))
	}
	return parseProcesses(string(res.Stdout), between, secret)
}

func noProcesses(err error) error {
	return hinted(classified(ErrNoProcesses, err), "processes are read from Linux's /proc, which must be mounted and readable")
}
