package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrNoProc says that this system has no /proc, so that processes cannot be found by their mark.
var ErrNoProc = errors.New("no /proc on this system")

// Process is one process that bears a mark. A pid alone names nothing: with its start time it does.
type Process struct {
	PID      int
	Start    string // clock ticks since boot
	Exe      string
	Command  string
	StateDir string // its BROKER_STATE_DIR
}

func (p Process) String() string { return fmt.Sprintf("process %d (%s)", p.PID, p.Command) }

// Marked lists the processes with the mark in their environment. Zombies are not among them: they have ended, and where no init reaps
// they stay for ever.
func Marked(mark string) ([]Process, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	if len(dirs) == 0 {
		return nil, ErrNoProc
	}
	var found []Process
	for _, dir := range dirs {
		// Errors say that it has ended meanwhile, or is not ours.
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || variable(environ, MarkVariable) != mark {
			continue
		}
		fields, err := statFields(dir)
		if err != nil || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		exe, _ := os.Readlink(filepath.Join(dir, "exe"))
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		found = append(found, Process{
			PID: pid, Start: fields[19], Exe: strings.TrimSuffix(exe, " (deleted)"),
			Command:  strings.TrimSpace(string(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '}))),
			StateDir: variable(environ, "BROKER_STATE_DIR"),
		})
	}
	return found, nil
}

// statFields are the fields of a process's stat (proc(5)) from the third, STATE, on; STARTTIME is number 19 of them.
func statFields(dir string) ([]string, error) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return nil, err
	}
	// PID (COMM) STATE …; COMM may hold anything, so the last parenthesis counts.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return nil, fmt.Errorf("%s/stat has %d fields", dir, len(fields))
	}
	return fields, nil
}

func variable(environ []byte, name string) string {
	for kv := range bytes.SplitSeq(environ, []byte{0}) {
		if k, v, ok := bytes.Cut(kv, []byte("=")); ok && string(k) == name {
			return string(v)
		}
	}
	return ""
}

// listeners lists the TCP addresses on which a process listens, as /proc/net/tcp writes them, with the port decoded.
func listeners(pid int) []string {
	sockets := map[string]bool{}
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil {
			if inode, ok := strings.CutPrefix(to, "socket:["); ok {
				sockets[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	var found []string
	for _, table := range []string{"tcp", "tcp6"} {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			const listen = "0A"
			if len(f) < 10 || f[3] != listen || !sockets[f[9]] {
				continue
			}
			_, hex, _ := strings.Cut(f[1], ":")
			if port, err := strconv.ParseUint(hex, 16, 16); err == nil {
				found = append(found, fmt.Sprintf("%s port %d", table, port))
			}
		}
	}
	return found
}

// Await polls cond, since the kernel tells nobody of the end of somebody else's process. It returns what cond says at last: false once ctx
// is done.
func Await(ctx context.Context, cond func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if cond() {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return cond()
		}
	}
}
