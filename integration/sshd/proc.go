package sshd

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// connections returns the pids of the sshd processes below p: one or two a connection. Their other descendants, the commands that
// they run, are not among them.
func (s *Server) connections(p *process) []int {
	parent := map[int]int{}
	isSshd := map[int]bool{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		s.t.Fatal(err)
	}
	if len(stats) == 0 {
		s.t.Fatal("no /proc on this machine: connections cannot be killed one by one")
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		// PID (COMM) STATE PPID …; COMM may hold anything, so the last parenthesis counts.
		text := string(b)
		open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
		fields := strings.Fields(text[end+1:])
		pid, err1 := strconv.Atoi(strings.TrimSpace(text[:open]))
		ppid, err2 := strconv.Atoi(fields[1])
		if err1 != nil || err2 != nil || fields[0] == "Z" {
			continue
		}
		parent[pid] = ppid
		// "sshd"; "sshd-session" and "sshd-auth" since OpenSSH 9.8.
		isSshd[pid] = strings.HasPrefix(text[open+1:end], "sshd")
	}
	var pids []int
	for pid := range parent {
		if !isSshd[pid] {
			continue
		}
		for up := parent[pid]; up > 1; up = parent[up] {
			if up == p.cmd.Process.Pid {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}

func kill(pids []int) {
	for _, pid := range pids {
		// ESRCH is fine: it went by itself.
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
