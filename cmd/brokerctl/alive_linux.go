package main

import (
	"bytes"
	"fmt"
	"os"
)

// alive tells whether pid runs. A zombie does not: where our own parent, or a container's init, does not reap, it stays for ever.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// proc_pid_stat(5): pid (comm) state …, and comm may hold anything, ')' too.
	i := bytes.LastIndexByte(stat, ')')
	return i >= 0 && i+2 < len(stat) && stat[i+2] != 'Z' && stat[i+2] != 'X'
}
