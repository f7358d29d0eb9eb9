# Stands for a program that runs already: sh standin.sh PID START NONCE [WORDS]. Announces itself (with these words), and ends with status
# 0 when the process of that pid and start time (field 22 of its stat file) has gone, and at once at SIGTERM. It touches nothing.
pid=$1 start=$2 nonce=$3 words=${4:-ready}

alive() {
	stat=
	{ read -r stat <"/proc/$pid/stat"; } 2>/dev/null || return 1
	set -f
	set -- ${stat##*) } # from the third field on; a name may hold anything
	case $1 in Z | X) return 1 ;; esac
	[ "${20}" = "$start" ]
}

nap=
trap '[ -z "$nap" ] || kill "$nap" 2>/dev/null; exit 0' TERM INT HUP
alive || { echo "debugbroker $nonce gone it has ended"; exit 1; }
printf '%s\n' "debugbroker $nonce $words"
while alive; do
	sleep 1 &
	nap=$!
	wait "$nap"
	nap=
done
exit 0
