# Whether we may trace a process of our own that is not our child: opening its memory asks for that right. Is given $tool.
if [ -r /proc/self/stat ]; then
	fact proc 1
	sleep 5 >/dev/null 2>&1 </dev/null &
	scratch=$!
	if (exec 3<"/proc/$scratch/mem") 2>/dev/null; then fact traceable 1; fi
	kill "$scratch" 2>/dev/null
	{ read -r scope </proc/sys/kernel/yama/ptrace_scope; } 2>/dev/null && fact ptrace_scope "$scope"
	while read -r key value; do
		case $key in CapEff:) fact capabilities "$value" ;; Seccomp:) fact seccomp "$value" ;; esac
	done 2>/dev/null </proc/self/status
	if [ -n "$tool" ] && command -v getcap >/dev/null 2>&1; then fact file_capabilities "$(getcap "$tool" 2>/dev/null)"; fi
	if [ -e /.dockerenv ]; then fact container docker; elif [ -e /run/.containerenv ]; then fact container podman; elif [ -n "$container" ]; then fact container "$container"; fi
fi
