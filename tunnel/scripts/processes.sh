# Prints the process table out of /proc, in sections that end with dbk_m, a word that no process knows. Needs identity.sh, dbk_m,
# dbk_secret, dbk_most. With hundreds of processes each fork counts, so files are read in batches.
if [ "$(uname -s)" != Linux ] || [ ! -r "$dbk_proc/self/stat" ] || ! cd "$dbk_proc" 2>/dev/null; then
	uname -s
	exit 41
fi
dbk_boot
set -- [0-9]*
printf '%s %s %s\n%s' "$dbk_b" $$ "$*" "$dbk_m"

# The environment of the reading program itself, which nobody else knows, parts the files that it prints. So it must be small:
# nothing stays exported. (What a value with line ends in it makes up here is unset in vain.)
dbk_path=$PATH dbk_list=$(export -p)
set -f
IFS='
'
for dbk_v in $dbk_list; do
	dbk_v=${dbk_v#export } dbk_v=${dbk_v#declare -x }
	dbk_v=${dbk_v%%=*}
	case $dbk_v in '' | [0-9]* | *[!A-Za-z0-9_]* | _ | dbk_*) ;; *) command unset -v "$dbk_v" 2>/dev/null ;; esac
done
unset IFS
set +f
PATH=$dbk_path dbk_mark=$dbk_secret
export dbk_mark
# Only head keeps one process with a command line of megabytes from filling the answer.
dbk_head=cat
if head -q -c 9 self/stat self/stat >/dev/null 2>&1; then dbk_head="head -q -c $dbk_most"; fi
# A busybox that is its own head does not exec it, and then that has the environment with which the shell began.
case $($dbk_head self/environ 2>/dev/null | tr '\000' ' ') in *"$dbk_secret"*) ;; *) dbk_head="env $dbk_head" ;; esac
$dbk_head self/environ 2>/dev/null
printf %s "$dbk_m"

# dbk_batch COMMAND PREFIX FILE… runs COMMAND with PREFIX PID/FILE… of each process of dbk_pids, in their order.
dbk_batch() {
	dbk_do=$1 dbk_pre=$2
	shift 2
	dbk_n=0 dbk_words=
	for dbk_p in $dbk_pids; do
		for dbk_f; do dbk_words="$dbk_words $dbk_pre $dbk_p/$dbk_f"; done
		dbk_n=$((dbk_n + 1))
		if [ $dbk_n = 200 ]; then
			$dbk_do $dbk_words
			dbk_n=0 dbk_words=
		fi
	done
	[ -z "$dbk_words" ] || $dbk_do $dbk_words
	printf %s "$dbk_m"
}
dbk_pids=$*
dbk_batch "$dbk_head" self/environ stat status cmdline cgroup 2>/dev/null

# /proc/self leads to a bare number, and nothing else does: it parts the links, of which some cannot be read.
dbk_links() {
	for dbk_l; do
		case $dbk_l in self) printf '0\000' ;; *) readlink -n "$dbk_l" && printf '\000' ;; esac
	done
}
if readlink -z self self >/dev/null 2>&1; then dbk_readlink='readlink -z'; else dbk_readlink=dbk_links; fi
dbk_batch "$dbk_readlink" self exe cwd ns/pid ns/mnt ns/net 2>/dev/null

dbk_list=$(grep -hE '^(Uid|TracerPid):' [0-9]*/status 2>/dev/null)
if command -v getent >/dev/null 2>&1; then
	getent passwd $(printf '%s\n' "$dbk_list" | awk '$1 == "Uid:" { print $3 }' | sort -u) 2>/dev/null
else
	cat /etc/passwd 2>/dev/null
fi
printf %s "$dbk_m"

# Who traces is told by the thread that does (Delve has many): of which process that is.
grep -H '^Tgid:' /dev/null $(printf '%s\n' "$dbk_list" | awk '$1 == "TracerPid:" && $2 > 0 && !seen[$2]++ { print $2 "/status" }') 2>/dev/null
printf %s "$dbk_m"

# Which executables are Go's, each read once, and no endless ones. (A path with line ends in it can only cost time here.)
dbk_stat=$(stat -L -c '%d:%i %s %n' [0-9]*/exe [0-9]*/root 2>/dev/null)
printf '%s\n%s' "$dbk_stat" "$dbk_m"
dbk_go=$({
	ls -ln [0-9]*/exe 2>/dev/null
	printf '%s\n' "$dbk_stat"
} | awk '
	match($0, /[0-9]+\/exe -> /) {
		name = substr($0, RSTART, RLENGTH - 4)
		to = substr($0, RSTART + RLENGTH)
		sub(/ \(deleted\)$/, "", to)
		base = to; sub(/.*\//, "", base)
		# By name only where the system puts them: there are programs in Go that are called node.
		if (to ~ /^\/(usr\/)?(s?bin|lib|lib64|libexec)\// && base ~ /^(python[0-9.]*|node|nodejs|java|perl[0-9.]*|ruby[0-9.]*|php.*|(ba|da|z|fi|tc|c|k)?sh|busybox|sshd.*|sudo|su|cron|login|agetty|dbus-.*|(systemd|\(sd).*|postgres|mysqld|mariadbd|nginx|apache2|httpd|sleep|cat|tail)$/)
			skip[name] = 1
		next
	}
	NF == 3 && $3 ~ /^[0-9]+\/exe$/ && $2 + 0 < 536870912 && !($3 in skip) && !seen[$1]++ { print $3 }')
if printf 'a\000b\n' | grep -q -F b 2>/dev/null; then
	grep -l -F 'Go buildinf:' /dev/null $dbk_go 2>/dev/null
else
	for dbk_e in $dbk_go; do
		if tr '\000' '\n' <"$dbk_e" 2>/dev/null | grep -q -F 'Go buildinf:'; then printf '%s\n' "$dbk_e"; fi
	done
fi
printf %s "$dbk_m"
# The kernel writes a line end in a path as \012 here.
grep -HoE '/lib(python[0-9.]*[a-z]*|jvm|node)\.so' [0-9]*/maps 2>/dev/null | sort -u
printf %s "$dbk_m"
exit 0
