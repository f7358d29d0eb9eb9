# Starts a program in this very process. Needs identity.sh, reap.sh, dbk_ws, dbk_role, dbk_cwd, dbk_prog, dbk_stdin; what exports the
# environment and execs follows behind.
dbk_die() {
	printf 'E %s\n' "$1"
	exit 126
}
dbk_ours "$dbk_ws" || dbk_die 'workspace'
[ -e "$dbk_prog" ] || dbk_die 'program-missing'
[ ! -d "$dbk_prog" ] && [ -x "$dbk_prog" ] || dbk_die 'program-not-executable'
if [ -n "$dbk_cwd" ]; then
	[ -e "$dbk_cwd" ] || dbk_die 'cwd-missing'
	cd "$dbk_cwd" 2>/dev/null || dbk_die 'cwd'
else
	cd "${HOME:-/}" 2>/dev/null || cd / || dbk_die 'cwd'
fi

# Of a session of our own (sshd has made one) all members are ours. Where the server made none, setsid makes it at the exec,
# unless we lead a process group, which setsid cannot leave in place.
dbk_boot
dbk_ident $$ || dbk_die 'identity'
dbk_setsid=
if [ "$dbk_sid" = $$ ]; then
	dbk_kind=s
elif [ "$dbk_pgid" = $$ ]; then
	dbk_kind=g
elif [ "$dbk_sid" != 0 ] && command -v setsid >/dev/null 2>&1; then
	dbk_kind=s dbk_setsid=setsid
else
	dbk_kind=p
fi
dbk_record $$ "$dbk_start" "$dbk_kind" $$ "$dbk_role" || dbk_die 'record'
# sudo waits for the program, and ends with it: that is a lifeline's role. (It may have become us: then our parent is the server.)
dbk_mainstart=$dbk_start dbk_x=
if [ -n "$SUDO_UID" ] && { read -r dbk_x <"$dbk_proc/$PPID/comm"; } 2>/dev/null && [ "$dbk_x" = sudo ] && dbk_ident "$PPID"; then
	dbk_record "$PPID" "$dbk_start" p "$PPID" life
fi
dbk_start=$dbk_mainstart

# The program's input, where it has one, is a FIFO that feed.sh fills over another channel: behind bytes that the program does not read
# the lifeline would not see the end of its own. It is opened both ways first, so that nobody waits for the other end; descriptor 6
# becomes the program's, and 5 the lifeline's, which keeps the FIFO from ending before feed.sh has come.
if [ -n "$dbk_stdin" ]; then
	dbk_fifo=$dbk_ws/.in-$$
	mkfifo -m 600 "$dbk_fifo" 2>/dev/null && exec 4<>"$dbk_fifo" 5>"$dbk_fifo" 6<"$dbk_fifo" || dbk_die 'stdin'
	exec 4<&-
fi

# The lifeline. Its parent ends at once, so that it is no child of the program. It holds the channel's input and nothing else
# of it. End of file means that the link was lost, that the broker died or that the channel was closed; sshd makes it also when
# the program has ended: then what it left in its session is recorded, for as long as the lifeline is in that session the
# session's number cannot be another's.
( (
	trap '' HUP INT QUIT TERM PIPE
	exec </dev/null >/dev/null 2>&1
	dbk_main=$$
	dbk_self
	dbk_ident "$dbk_me" && dbk_record "$dbk_me" "$dbk_start" "$dbk_kind" "$dbk_main" life
	if [ -n "$dbk_stdin" ]; then exec 6<&-; fi
	while read -r dbk_x <&3; do :; done
	exec 3<&-
	if [ -n "$dbk_stdin" ]; then
		# Its input has ended, too: it may end by itself.
		exec 5>&-
		PATH=$PATH:/usr/bin:/bin
		dbk_n=0
		while [ "$dbk_n" -lt 50 ] && dbk_alive "$dbk_main" "$dbk_mainstart"; do dbk_nap; done
	fi
	# One that ends with its input ends with a lost link too, of which nobody else would take the rest away.
	if [ -n "$dbk_stdin" ] || dbk_alive "$dbk_main" "$dbk_mainstart"; then
		dbk_reap life
	elif dbk_ours "$dbk_ws"; then
		LC_ALL=C PATH=$PATH:/usr/bin:/bin
		export LC_ALL PATH
		dbk_ident "$dbk_me" && dbk_recs="$dbk_main/$dbk_mainstart/$dbk_kind/$dbk_main/- $dbk_me/$dbk_start/$dbk_kind/$dbk_main/life"
		if [ -n "$dbk_setsid" ]; then dbk_recs="$dbk_recs $dbk_main/$dbk_mainstart/h/$dbk_main/-"; fi
		for dbk_t in $(dbk_scan words "$dbk_me"); do
			dbk_p=${dbk_t#?}
			case $dbk_t in l*) continue ;; esac
			dbk_ident "$dbk_p" && dbk_record "$dbk_p" "$dbk_start" "$dbk_kind" "$dbk_main" -
		done
	fi
) & )
