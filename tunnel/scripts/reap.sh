# Ending what the records of a workspace name. Needs identity.sh and dbk_ws. Functions only; run in a subshell.

# dbk_load sets dbk_recs to the records of this boot, as PID/START/KIND/GROUP/ROLE words, and dbk_heirs.
dbk_load() {
	dbk_recs=$dbk_heirs
	for dbk_f in "$dbk_ws"/.dbk-*; do
		[ -f "$dbk_f" ] && [ ! -h "$dbk_f" ] || continue
		read -r dbk_v dbk_rb dbk_p dbk_s dbk_k dbk_g dbk_r dbk_e <"$dbk_f" || continue
		[ "$dbk_v$dbk_e" = 1. ] && [ "$dbk_rb" = "$dbk_b" ] || continue
		case $dbk_p in '' | *[!0-9]* | 0 | 1) continue ;; esac
		case $dbk_g in '' | *[!0-9]*) continue ;; esac
		case $dbk_s in '' | *[!0-9A-Za-z:_]*) continue ;; esac
		dbk_recs="$dbk_recs $dbk_p/$dbk_s/$dbk_k/$dbk_g/$dbk_r"
	done
}

# dbk_know sets dbk_heirs: sessions that are ours now stay so while we end them (KIND h), though their leader goes first and leaves
# nobody on record in them, as below sudo. Within these seconds no other session gets the number.
dbk_know() {
	dbk_heirs=
	dbk_load
	for dbk_t in $dbk_recs; do
		dbk_p=${dbk_t%%/*} dbk_s=${dbk_t#*/}
		case $dbk_t in
		*/s/"$dbk_p"/*) if dbk_alive "$dbk_p" "${dbk_s%%/*}"; then dbk_heirs="$dbk_heirs $dbk_p/${dbk_s%%/*}/h/$dbk_p/-"; fi ;;
		esac
	done
	dbk_load
}

# dbk_snap prints the process table: stat lines, or ps lines behind a "ps" line.
dbk_snap() {
	if [ -r "$dbk_proc/self/stat" ]; then
		(cd "$dbk_proc" && cat [0-9]*/stat 2>/dev/null)
	else
		echo ps
		TZ=UTC0 ps -A -o pid= -o ppid= -o pgid= -o state= -o lstart= -o comm= 2>/dev/null
	fi
}

# dbk_scan words|names SELF prints what of ours runs: kPID, sPID (spare), gPID (a gdb) and lPID (lifeline) words, or a line for
# people each.
# Ours are the recorded processes whose start time matches, the rest of a recorded session (or group) as long as one process
# that matches is in it (which keeps its number from being used again), and all descendants of these. SELF and its children
# are not told.
dbk_scan() {
	dbk_snap | awk -v recs="$dbk_recs" -v self="$2" -v how="$1" '
	NR == 1 && $0 == "ps" { ps = 1; next }
	ps {
		p = $1
		pp[p] = $2; gr[p] = $3; se[p] = 0; st[p] = $4; at[p] = $5 "_" $6 "_" $7 "_" $8 "_" $9; nm[p] = $10
		next
	}
	{
		# Anybody can give a process a name with line ends in it, so a line is no record: that ends with the fifty numbers of
		# the kernel, and a name of 15 bytes holds at most eight.
		rec = rec == "" ? $0 : rec " " $0
		rest = rec; sub(/^.*\) /, "", rest)
		if (split(rest, f, " ") < 30) next
		p = rec; sub(/ .*/, "", p)
		i = index(rec, "(")
		nm[p] = substr(rec, i + 1, length(rec) - length(rest) - i - 2)
		st[p] = f[1]; pp[p] = f[2]; gr[p] = f[3]; se[p] = f[4]; at[p] = f[20]
		if (st[p] == "Z" && f[18] > 1) st[p] = "S"
		rec = ""
	}
	END {
		n = split(recs, r, " ")
		for (i = 1; i <= n; i++) {
			split(r[i], q, "/"); p = q[1]
			if (q[3] == "h" && q[4] > 1 && !(p in at)) sess[q[4]] = 1
			if (!(p in at) || at[p] != q[2] || q[3] == "h") continue
			mine[p] = 1; role[p] = q[5]
			if (q[3] == "s" && se[p] == q[4] && q[4] > 1) sess[q[4]] = 1
			if (q[3] == "g" && gr[p] == q[4] && q[4] > 1) group[q[4]] = 1
		}
		for (p in at) if ((se[p] in sess) || (gr[p] in group)) mine[p] = 1
		# Whatever is recorded: not the first process, nor those above us (the SSH server, the broker), nor all below them.
		never[1] = never[0] = 1
		for (p = pp[self]; p in at && !(p in never); p = pp[p]) never[p] = 1
		for (p in never) delete mine[p]
		not[self] = 1
		do {
			more = 0
			for (p in at) {
				if (!(p in mine) && !(p in never) && (pp[p] in mine)) { mine[p] = 1; more = 1 }
				if (!(p in not) && (pp[p] in not)) { not[p] = 1; more = 1 }
			}
		} while (more)
		for (p in mine) {
			if ((p in not) || p + 0 <= 1 || st[p] ~ /^[ZX]/) continue
			if (how == "names") printf "process %d (%s)\n", p, nm[p]
			else print (role[p] == "life" ? "l" : nm[p] == "gdb" ? "g" : role[p] == "spare" ? "s" : "k") p
		}
	}'
}

# dbk_look sets dbk_seen to dbk_scan's words. A lifeline that leaves writes down first what it knew of, which was known by it alone
# where the program has ended: so records are read again, and once more where nothing was seen.
dbk_look() {
	dbk_load
	dbk_seen=$(dbk_scan words "$dbk_me" | tr '\n' ' ')
	if [ -z "$dbk_seen" ]; then
		dbk_load
		dbk_seen=$(dbk_scan words "$dbk_me" | tr '\n' ' ')
	fi
}

# dbk_nap waits a tenth of a second, or one whole where sleep knows no fractions, and counts tenths in dbk_n.
dbk_nap() {
	if [ "$dbk_n" -lt 3 ]; then sleep 0.03 2>/dev/null; else sleep 0.1 2>/dev/null; fi || { sleep 1; dbk_n=$((dbk_n + 9)); }
	dbk_n=$((dbk_n + 1))
}

# dbk_await_gdb waits, for at most 5 s, until no gdb of ours is left. Debuggers have it inject code into a program, which then ends by
# itself; ended in the midst of that it takes the program with it, and who waits for it may end it.
dbk_await_gdb() {
	dbk_n=0
	while [ -n "$dbk_recs" ] && [ "$dbk_n" -lt 50 ]; do
		dbk_look
		case " $dbk_seen" in *" g"*) dbk_nap ;; *) break ;; esac
	done
}

# dbk_end asks with TERM, for 3 s, then KILLs all but the spare ones, which are asked again, for 3 s more. A gdb is asked last, and
# once. TENTHS counts as waited.
dbk_end() { # [TENTHS]
	dbk_n=${1:-0} dbk_asked=' ' dbk_again=' '
	while [ -n "$dbk_recs" ] && [ "$dbk_n" -lt 60 ]; do
		dbk_live= dbk_gdb=
		dbk_look
		for dbk_t in $dbk_seen; do
			dbk_p=${dbk_t#?}
			case $dbk_t in
			l*) kill -CONT "$dbk_p" 2>/dev/null; continue ;; # a sudo stops with its program
			g*) dbk_gdb="$dbk_gdb $dbk_p" && continue ;;
			esac
			dbk_live=1
			case $dbk_asked in
			*" $dbk_p "*) ;;
			*) kill -TERM "$dbk_p" 2>/dev/null; dbk_asked="$dbk_asked$dbk_p " ;;
			esac
			[ "$dbk_n" -ge 30 ] || continue
			case $dbk_t in
			k*) kill -KILL "$dbk_p" 2>/dev/null ;;
			s*)
				case $dbk_again in
				*" $dbk_p "*) ;;
				*) kill -TERM "$dbk_p" 2>/dev/null; kill -CONT "$dbk_p" 2>/dev/null; dbk_again="$dbk_again$dbk_p " ;;
				esac
				;;
			esac
		done
		[ -n "$dbk_live$dbk_gdb" ] || break
		if [ -z "$dbk_live" ] || [ "$dbk_n" -ge 40 ]; then
			for dbk_p in $dbk_gdb; do
				case $dbk_asked in
				*" $dbk_p "*) ;;
				*) kill -TERM "$dbk_p" 2>/dev/null; dbk_asked="$dbk_asked$dbk_p " ;;
				esac
			done
		fi
		dbk_nap
	done
}

# dbk_end_lifelines ends lifelines. Only the broker's Reap does it: two lifelines that ended each other would leave the directory.
dbk_end_lifelines() {
	dbk_n=0
	while [ -n "$dbk_recs" ] && [ "$dbk_n" -lt 10 ]; do
		dbk_live=
		for dbk_t in $(dbk_scan words "$dbk_me"); do
			case $dbk_t in
			l*) kill -KILL "${dbk_t#?}" 2>/dev/null; dbk_live=1 ;;
			k*) kill -KILL "${dbk_t#?}" 2>/dev/null ;; # what a lifeline has just started
			esac
		done
		[ -n "$dbk_live" ] || break
		dbk_nap
	done
}

# dbk_reap broker|life ends everything, removes the workspace and prints what is left. The directory stays, with its records
# alone, while a process is left, so that asking again finds it.
dbk_reap() {
	LC_ALL=C PATH=$PATH:/usr/bin:/bin:/usr/sbin:/sbin
	export LC_ALL PATH
	[ -e "$dbk_ws" ] || [ -h "$dbk_ws" ] || return 0
	dbk_ours "$dbk_ws" || { printf 'directory %s (not ours, not touched)\n' "$dbk_ws"; return 0; }
	dbk_seen=
	dbk_boot
	dbk_know
	dbk_self
	dbk_await_gdb
	dbk_end
	if [ "$1" = broker ]; then
		dbk_end_lifelines
		dbk_end 27 # what a lifeline had started at that moment: sleep, awk
	fi
	dbk_left=
	if [ -n "$dbk_recs" ]; then dbk_look; fi
	case " $dbk_seen" in
	*" s"* | *" k"* | *" g"*)
		# Their names at once, or none that could be told is there any more.
		dbk_left=$(dbk_scan names "$dbk_me")
		;;
	esac
	if [ -n "$dbk_left" ]; then
		for dbk_f in "$dbk_ws"/* "$dbk_ws"/.[!.]* "$dbk_ws"/..?*; do
			case $dbk_f in "$dbk_ws"/.dbk-*) ;; *) rm -rf "$dbk_f" ;; esac
		done
		printf '%s\n' "$dbk_left"
	else
		# A lifeline that wakes just now, and that was not on record yet, may write its records under our hands.
		for dbk_i in 1 2 3 4 5 6 7 8 9 10; do
			rm -rf "$dbk_ws" 2>/dev/null
			[ -e "$dbk_ws" ] || break
			if [ "$1" = broker ]; then dbk_load; dbk_end_lifelines; fi
			dbk_n=$dbk_i
			dbk_nap
		done
		[ ! -e "$dbk_ws" ] || rm -rf "$dbk_ws"
	fi
	if [ -e "$dbk_ws" ]; then printf 'directory %s\n' "$dbk_ws"; fi
}
