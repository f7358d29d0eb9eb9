# Prints listening TCP sockets: "proc ADDRESS UID INODE" and "pid INODE PID" from /proc, else what lsof or netstat says.
if [ -r "$dbk_proc/net/tcp" ]; then
	dbk_rows=$(cat "$dbk_proc/net/tcp" "$dbk_proc/net/tcp6" 2>/dev/null | awk '$4 == "0A" { print "proc", $2, $8, $10 }')
	printf '%s\n' "$dbk_rows"
	# A path that somebody's file descriptor leads to may have line ends in it, and so make up lines of this: -q prints none.
	dbk_q=
	if ls -lnq / >/dev/null 2>&1; then dbk_q=q; fi
	ls -ln$dbk_q "$dbk_proc"/[0-9]*/fd 2>/dev/null | {
		printf '%s\n' "$dbk_rows"
		cat
	} | awk '
		$1 == "proc" && NF == 4 { want["socket:[" $4 "]"] = $4; next }
		/^\/.*\/[0-9]+\/fd:$/ { n = split($0, d, "/"); pid = d[n - 1]; next }
		($NF in want) && !(($NF, pid) in seen) { seen[$NF, pid] = 1; print "pid", want[$NF], pid }'
elif command -v lsof >/dev/null 2>&1; then
	lsof -nP -iTCP -sTCP:LISTEN -FpLutn 2>/dev/null | awk '{ print "lsof", $0 }'
else
	netstat -an 2>/dev/null | awk '/LISTEN/ && /^tcp/ { print "netstat", $1, $4 }'
fi
