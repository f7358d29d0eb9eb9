# Becomes a debug server that takes a process by its pid, where that is still the one that is meant: sh tracer.sh PID START NONCE COMMAND
# [ARG…], START being field 22 of its stat file.
pid=$1 start=$2 nonce=$3
shift 3

alive() (
	{ read -r stat <"/proc/$pid/stat"; } 2>/dev/null || exit 1
	set -f
	set -- ${stat##*) } # from the third field on; a name may hold anything
	case $1 in Z | X) exit 1 ;; esac
	[ "${20}" = "$start" ]
)

alive || { echo "debugbroker $nonce gone it has ended"; exit 1; }
exec "$@"
