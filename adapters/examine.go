package adapters

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

// Examiner is an adapter that can be asked whether a host has what its language needs. Like Probe and Plan both methods are pure. Of the
// request only Host, Interpreters and, for Findings, Facts count.
type Examiner interface {
	// Examine returns what must be asked of the host. The scripts are POSIX sh; they start nothing of the user's but interpreters that
	// tell their version.
	Examine(Request) []Command
	// Findings judges the answers, in an order that is always the same. Each failing one has a hint.
	Findings(Request) []Finding
}

// Finding is one thing that holds on a host, or does not.
type Finding struct {
	Check  string // "debugpy"
	OK     bool
	Detail string // what was found
	Hint   string // what to do about it
}

func holds(check, format string, args ...any) Finding {
	return Finding{Check: check, OK: true, Detail: fmt.Sprintf(format, args...)}
}

func failing(check, hint, format string, args ...any) Finding {
	return Finding{Check: check, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// versionOf reads the leading numbers of a version, at most three: "go1.26.0" is not one, "1.26rc1" is 1.26.
func versionOf(s string) (numbers []int, ok bool) {
	for word := range strings.SplitSeq(s, ".") {
		end := 0
		for end < len(word) && word[end] >= '0' && word[end] <= '9' {
			end++
		}
		n, err := strconv.Atoi(word[:end])
		if err != nil {
			break
		}
		numbers = append(numbers, n)
		if end < len(word) || len(numbers) == 3 {
			break
		}
	}
	return numbers, len(numbers) >= 2
}

// older tells whether version a comes before b; false where either cannot be read.
func older(a, b string) bool {
	x, okA := versionOf(a)
	y, okB := versionOf(b)
	if !okA || !okB {
		return false
	}
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

// tracing asks whether a process may trace another one of the same user: it tries that on a process of its own, and without touching it
// (see ptraceScript).
//
//go:embed examine_tracing.sh
var tracing string

// tracingFindings tells whether running programs can be put under debugger, and which settings that hangs on.
func tracingFindings(f facts, debugger string) []Finding {
	const check = "attach"
	if f.first("proc") == "" {
		return []Finding{failing(check, "running programs are attached to on Linux only; start them under the debug server", "there is no /proc")}
	}
	scope, meaning := strings.TrimSpace(f.first("ptrace_scope")), "no Yama in this kernel"
	switch scope {
	case "0":
		meaning = "processes of one user may trace each other"
	case "1":
		meaning = "only a parent may trace its children"
	case "2":
		meaning = "only who has CAP_SYS_PTRACE may trace"
	case "3":
		meaning = "nobody may trace"
	}
	state := "kernel.yama.ptrace_scope " + scope + " (" + meaning + ")"
	if scope == "" {
		state = meaning
	}
	caps, err := strconv.ParseUint(f.first("capabilities"), 16, 64)
	if may := err == nil && caps&(1<<capSysPtrace) != 0; may {
		state += ", CAP_SYS_PTRACE is ours"
	} else {
		state += ", no CAP_SYS_PTRACE"
	}
	if mode := f.first("seccomp"); mode != "" && mode != "0" {
		state += ", a seccomp filter is on"
	}
	if c := f.first("container"); c != "" {
		state += ", in a container (" + c + ")"
	}
	if f.first("traceable") != "" || strings.Contains(f.first("file_capabilities"), "cap_sys_ptrace") {
		return []Finding{holds(check, "%s may trace your processes: %s", debugger, state)}
	}
	hint := "in a container: --cap-add SYS_PTRACE, and a seccomp profile that allows ptrace; elsewhere a security module forbids it"
	switch scope {
	case "1", "2":
		hint = "--sudo works through sudo -n there; or, as root there: sysctl kernel.yama.ptrace_scope=0"
		if scope == "1" {
			hint += "; programs that open starts itself are not concerned"
		}
	case "3":
		hint = "only a restart of the host with another kernel.yama.ptrace_scope changes that"
	}
	return []Finding{failing(check, hint, "%s may not trace processes that run already: %s", debugger, state)}
}
