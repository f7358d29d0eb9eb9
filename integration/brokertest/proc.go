package brokertest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/sshd"
)

// process is one process that bears the mark. A pid alone names nothing: with its start time it does.
type process struct {
	pid      int
	start    string // clock ticks since boot
	exe      string
	command  string
	stateDir string // its BROKER_STATE_DIR
}

func (p process) String() string { return fmt.Sprintf("process %d (%s)", p.pid, p.command) }

// marked lists the processes with the mark in their environment. Zombies are not among them: they have ended, and where no init reaps
// they stay for ever.
func marked(t testing.TB, mark string) []process {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) == 0 {
		t.Fatal("no /proc on this machine: processes cannot be found")
	}
	var found []process
	for _, dir := range dirs {
		// Errors say that it has ended meanwhile, or is not ours.
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || variable(environ, sshd.MarkVariable) != mark {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue
		}
		// PID (COMM) STATE … STARTTIME is field 22 (proc(5)); COMM may hold anything, so the last parenthesis counts.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		exe, _ := os.Readlink(filepath.Join(dir, "exe"))
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		found = append(found, process{
			pid: pid, start: fields[19], exe: strings.TrimSuffix(exe, " (deleted)"),
			command:  strings.TrimSpace(string(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '}))),
			stateDir: variable(environ, "BROKER_STATE_DIR"),
		})
	}
	return found
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

// await polls cond, since the kernel tells nobody of the end of somebody else's process. It returns false once limit is over.
func await(limit time.Duration, cond func() bool) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if cond() {
			return true
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return cond()
		}
	}
}
