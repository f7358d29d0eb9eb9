package adapters

import (
	"fmt"
	"regexp"
)

// delveReady is printed before the target exists; Started waits for the target.
var delveReady = regexp.MustCompile(`^API server listening at: (?P<addr>\S.*?)\s*$`)

// delveServerLine is what Delve itself prints among the program's output. The second half is what it says when a program stops
// that nobody's connection let run (service/debugger, maybePrintUnattendedStopWarning).
var delveServerLine = regexp.MustCompile(`^API server listening at: ` +
	`|^\d{4}-\d\d-\d\dT\S+ (?:debug|info|warning|warn|error) layer=` +
	`|^closing connection from different user ` +
	`|^Stop reason: ` +
	`|^\*\* execution is paused because ` +
	`|^To continue the execution please connect your client to the debugger\.` +
	`|^Stack trace:$` +
	`|^ *\d+  0x[0-9a-f]{8,16} in ` +
	`|^ +at (?:/|\.|<|_)\S*:\d+$` +
	`|^WARNING: undefined behavior - `)

// delveAttachFailures translates what `dlv attach` prints when it gives up (Delve 1.27, cmd/dlv and pkg/proc/native).
func delveAttachFailures(pid int) []Failure {
	return []Failure{
		{
			Match: regexp.MustCompile(`could not attach to pid \d+: this could be caused by a kernel security setting[^\n]*|could not attach to pid \d+: operation not permitted`), Code: Denied,
			Message: fmt.Sprintf("Delve may not trace process %d", pid), Hint: "another debugger may have it; else see brokerctl doctor on ptrace_scope, or take --sudo",
		},
		{
			Match: regexp.MustCompile(`could not attach to pid \d+: no such process`), Code: NotFound,
			Message: fmt.Sprintf("process %d has ended", pid), Hint: "brokerctl ps lists what is there",
		},
		{
			Match: regexp.MustCompile(`could not attach to pid \d+: (.*)`), Code: Foreign,
			Message: fmt.Sprintf("Delve cannot debug process %d: $1", pid), Hint: "a Go program with its symbols is needed: built without -ldflags='-s -w'",
		},
	}
}

// delveFailures translates what Delve and the go command print when they give up.
func delveFailures(network string, build bool) []Failure {
	var failures []Failure
	if build {
		// What is no program is built into an archive.
		failures = append(failures, Failure{
			Match: regexp.MustCompile(`Can not debug non-main package|could not launch process: not an executable file`), Code: NotFound,
			Message: "the package is not a main package", Hint: "give the directory of a package main",
		})
	}
	return append(failures, []Failure{
		{
			Match: regexp.MustCompile(`(?m)^couldn't start listener: (.*)$`), Code: Internal,
			Message: "Delve cannot listen: $1", Hint: "see `brokerctl logs`", Retry: network == "unix",
		},
		{
			Match: regexp.MustCompile(`Version of Delve is too old for Go version (\S+)`), Code: Missing,
			Message: "Delve on the host is too old for Go $1", Hint: delveTools,
		},
		{
			Match: regexp.MustCompile(`Go version (\S+) is too old for this version of Delve`), Code: Missing,
			Message: "Go $1 is too old for the Delve on the host", Hint: "build with a newer Go, or install an older Delve there",
		},
		{
			Match: regexp.MustCompile(`(?m)^(?:go: )?.*((?:requires|go\.mod requires) go >= \S+ .*)$`), Code: Missing,
			Message: "Go on the host is too old: $1", Hint: "install a newer Go there",
		},
		{
			Match: regexp.MustCompile(`exec: "go": executable file not found`), Code: Missing,
			Message: "go is not installed on the host", Hint: "install Go there, or give an executable file that was built elsewhere",
		},
		{
			Match: regexp.MustCompile(`(?m)^(?:\S+: )?(package \S+ is not in std.*|no required module provides package .*|cannot find (?:module|package|main module).*|no Go files in .*|go\.mod file not found .*|directory \S+ outside .*)$`),
			Code:  NotFound, Message: "no such program: $1", Hint: "give a main package's directory, a .go file, an import path of the module in the working directory, or an executable file",
		},
		{
			Match: regexp.MustCompile(`could not launch process: fork/exec (.*): operation not permitted`), Code: Missing,
			Message: "Delve may not trace programs on the host", Hint: "containers need the SYS_PTRACE capability, and a seccomp profile that permits ptrace",
		},
		{
			Match: regexp.MustCompile(`could not launch process: (fork/exec .*: permission denied)`), Code: Died,
			Message: "$1", Hint: "a file system that is mounted noexec cannot hold programs; TMPDIR chooses another",
		},
		{
			Match: regexp.MustCompile(`(?m)^(.* is not executable|could not launch process: .*(?:not an executable file|exec format error).*)$`), Code: Died,
			Message: "$1", Hint: "a Go program built for the host's system and processor is needed",
		},
		{
			Match: regexp.MustCompile(`(?m)^(could not launch process: .*)$`), Code: Died, Message: "$1",
			Hint: "build without -ldflags='-s -w', and with -gcflags='all=-N -l'",
		},
		{
			Match: regexp.MustCompile(`(?m)^(\S+\.go:\d+:\d+: .*)$`), Code: Died,
			Message: "the build failed: $1", Hint: "`brokerctl logs` has the rest",
		},
	}...)
}
