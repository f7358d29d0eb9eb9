package adapters

import (
	"fmt"
	"strconv"
	"strings"
)

// ptraceScript gives the facts by which ptraceRefusal judges. Opening a process's memory asks the kernel for the very right that
// PTRACE_ATTACH needs (PTRACE_MODE_ATTACH: proc(5), ptrace(2)), and leaves the process alone. tool is a shell word for the debugger,
// whose file capabilities may give it more rights than this shell has.
func ptraceScript(pid int, tool string) string {
	return fmt.Sprintf(`if (exec 3</proc/%[1]d/mem) 2>/dev/null; then fact traceable 1; fi
[ -d /proc/%[1]d ] || fact gone 1
{ read -r scope </proc/sys/kernel/yama/ptrace_scope; } 2>/dev/null && fact ptrace_scope "$scope"
[ -O /proc/%[1]d ] || fact undumpable 1
while read -r key value; do
	case $key in CapEff:) fact capabilities "$value";; NoNewPrivs:) fact no_new_privileges "$value";; esac
done 2>/dev/null </proc/self/status
if command -v getcap >/dev/null 2>&1; then fact file_capabilities "$(getcap %[2]s 2>/dev/null)"; fi
`, pid, tool)
}

// capSysPtrace is CAP_SYS_PTRACE's bit (capabilities(7), linux/capability.h).
const capSysPtrace = 19

// ptraceRefusal says why a debugger may not trace the program, and which setting is in the way; nil where it may.
func ptraceRefusal(req Request, f facts, debugger string) error {
	pid := req.Target.PID
	switch {
	case f.first("gone") != "":
		return &Error{NotFound, fmt.Sprintf("process %d has ended", pid), "brokerctl ps lists what is there"}
	case f.first("traceable") != "", strings.Contains(f.first("file_capabilities"), "cap_sys_ptrace"):
		return nil
	}
	caps, err := strconv.ParseUint(f.first("capabilities"), 16, 64)
	may := err == nil && caps&(1<<capSysPtrace) != 0
	scope := strings.TrimSpace(f.first("ptrace_scope"))
	message := fmt.Sprintf("%s may not trace process %d", debugger, pid)
	switch {
	case scope == "3":
		return &Error{Denied, message + ": kernel.yama.ptrace_scope is 3, which forbids all tracing", "only a restart of the host with another setting changes that"}
	case scope != "" && scope != "0" && !may:
		return &Error{Denied, message + ": kernel.yama.ptrace_scope is " + scope,
			"--sudo works through sudo -n there; or let it be traced, as root there: sysctl kernel.yama.ptrace_scope=0"}
	case f.first("undumpable") != "" && !may && !req.Sudo:
		return &Error{Denied, message + ": it has changed its user or has capabilities of its own, so that only root may", "--sudo works through sudo -n there, where you may use it"}
	case req.Target.UID == 0 || req.Sudo || may:
		return &Error{Denied, message + ": not even as root", "a container needs the SYS_PTRACE capability (--cap-add SYS_PTRACE), a security module must allow ptrace"}
	}
	return &Error{Denied, message, "--sudo works through sudo -n there; a container needs the SYS_PTRACE capability (--cap-add SYS_PTRACE)"}
}
