# Who a process is: (boot id, pid, start time). Needs dbk_ws. POSIX sh; functions only. The environment may set dbk_proc to
# work as where there is no /proc.
: "${dbk_proc:=/proc}"

# dbk_boot sets dbk_b to what changes at each boot.
dbk_boot() {
	dbk_b=
	{ read -r dbk_b <"$dbk_proc/sys/kernel/random/boot_id"; } 2>/dev/null ||
		dbk_b=$(sysctl -n kern.bootsessionuuid 2>/dev/null) ||
		dbk_b=$(sysctl -n kern.boottime 2>/dev/null | sed 's/^{ sec = \([0-9]*\).*/\1/')
	case $dbk_b in '' | *[!0-9A-Za-z-]*) dbk_b=unknown ;; esac
}

# dbk_ident PID sets dbk_state, dbk_pgid, dbk_sid and dbk_start; false if there is no such process.
# The second field of stat may hold spaces, parentheses and line ends, so fields count from the last ") " of all lines.
# Without /proc a session cannot be told (0), and the start time is ps's lstart.
dbk_ident() {
	if [ -r "$dbk_proc/self/stat" ]; then
		{
			IFS= read -r dbk_x && while IFS= read -r dbk_y; do dbk_x="$dbk_x $dbk_y"; done
		} 2>/dev/null <"$dbk_proc/$1/stat" || return 1
		dbk_x=${dbk_x##*") "}
		set -- $dbk_x
		[ $# -ge 20 ] || return 1
		dbk_state=$1 dbk_pgid=$3 dbk_sid=$4 dbk_start=${20}
		if [ "$dbk_state" = Z ] && [ "${18}" -gt 1 ]; then dbk_state=S; fi
	else
		dbk_x=$(LC_ALL=C TZ=UTC0 ps -o state= -o pgid= -o lstart= -p "$1" 2>/dev/null) || return 1
		set -- $dbk_x
		[ $# -ge 7 ] || return 1
		dbk_state=$1 dbk_pgid=$2 dbk_sid=0 dbk_start=$3_$4_$5_$6_$7
	fi
}

# dbk_alive PID START: runs still, and is no zombie.
dbk_alive() {
	dbk_ident "$1" && [ "$dbk_start" = "$2" ] || return 1
	case $dbk_state in Z* | X*) return 1 ;; esac
}

# dbk_self sets dbk_me to the pid of this very subshell ($$ is the pid of the first shell).
dbk_self() {
	{ read -r dbk_me dbk_x <"$dbk_proc/self/stat"; } 2>/dev/null || dbk_me=$(exec sh -c 'echo $PPID')
}

# dbk_ours DIR: a real directory of our own.
dbk_ours() {
	[ -d "$1" ] && [ ! -h "$1" ] && [ -O "$1" ]
}

# dbk_record PID START KIND GROUP ROLE writes one record. KIND: s, GROUP is a session that we made; g, a process group;
# p, the process alone. ROLE: spare, life (a lifeline) or -. The last word tells a whole record from one cut short.
dbk_record() {
	printf '1 %s %s %s %s %s %s .\n' "$dbk_b" "$1" "$2" "$3" "$4" "$5" >"$dbk_ws/.dbk-$1"
}
