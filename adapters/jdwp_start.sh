# Has a JVM's waiting debug agent (onjcmd=y) listen, says where, and becomes the process that stands for the program: sh jdwp_start.sh PID
# START NONCE JCMD PORT, where PORT is the agent's, or 0. Nothing can make the agent stop listening again, so that it is looked at first
# what would go wrong: the agent does not try twice.
pid=$1 start=$2 nonce=$3 jcmd=$4 port=$5
dir=${0%/*}
refuse() { printf '%s\n' "debugbroker $nonce $1 $2"; exit 1; }

asked=
trap '[ -z "$asked" ] || kill "$asked" 2>/dev/null; exit 0' TERM INT HUP

alive() (
	{ read -r stat <"/proc/$pid/stat"; } 2>/dev/null || exit 1
	set -f
	set -- ${stat##*) } # from the third field on; a name may hold anything
	case $1 in Z | X) exit 1 ;; esac
	[ "${20}" = "$start" ]
)

# sockets prints "ADDRESS:PORT INODE", hexadecimal, of what listens; of the program's own with an argument.
sockets() {
	own=
	[ -z "$1" ] || own=" $(ls -l "/proc/$pid/fd" 2>/dev/null | sed -n 's/.*socket:\[\([0-9]*\)\]$/\1/p' | tr '\n' ' ')"
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v own="$own" '$4 == "0A" && (own == "" || index(own, " " $10 " ")) { print $2, $10 }'
}

alive || refuse gone 'it has ended'
hex=$(printf %04X "$port")
before=$(sockets own)
known=$(printf '%s\n' "$before" | sed 's/.* //' | tr '\n' ' ') # inodes
if [ "$port" != 0 ]; then
	case $(sockets '') in *":$hex "*)
		case $before in *":$hex "*) ;; *) refuse taken "port $port, on which its debug agent would listen, is taken" ;; esac ;;
	esac
fi
# Without its handler for SIGQUIT, by which it is asked, and without its socket a JVM dies of being asked.
caught=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null)
case $caught in *[4567cdef]) ;; *) [ -S "/proc/$pid/root/tmp/.java_pid$pid" ] || refuse deaf 'it does not take SIGQUIT, by which jcmd asks' ;; esac

unset JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS
alive || refuse gone 'it has ended'
"$jcmd" -J-XX:-UsePerfData "$pid" VM.start_java_debugging >"$dir/jcmd.out" 2>&1 </dev/null &
asked=$!
wait "$asked"
asked=
alive || refuse gone 'it has ended'
grep -q -e '^Debugging has been started' -e '^Debugging is already active' "$dir/jcmd.out" ||
	refuse mute "jcmd says: $(grep -v -e '^[0-9]*:$' -e '^[[:space:]]*at ' "$dir/jcmd.out" | head -n 1 | tr -c '[:print:]\n' '?' | cut -c 1-300)"

# It listens by now, or never.
for try in 1 2 3; do
	at=$(sockets own | while read -r address inode; do
		case $port:$address in
		0:*) case " $known" in *" $inode "*) continue ;; esac ;;
		*:*":$hex") ;;
		*) continue ;;
		esac
		number=$(printf %d "0x${address##*:}")
		case $address in
		0100007F:* | 00000000:* | 00000000000000000000000000000000:*) echo "127.0.0.1:$number" ;;
		00000000000000000000000001000000:*) echo "[::1]:$number" ;;
		*) continue ;;
		esac
		break
	done)
	[ -z "$at" ] || break
	sleep 1 &
	asked=$!
	wait "$asked"
	asked=
done
[ -n "$at" ] || refuse silent 'its debug agent was started, and does not listen'
exec /bin/sh "$dir/standin.sh" "$pid" "$start" "$nonce" "listens $at"
