package adapters

import "fmt"

// listeningPorts is a shell function that prints the TCP ports that listen, in hexadecimal, one a line. State 0A of
// /proc/net/tcp is LISTEN (Linux, include/net/tcp_states.h).
const listeningPorts = `listening_ports() {
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ local _ state _; do
		[ "$state" = 0A ] && printf '%s\n' "${local##*:}"
	done
}
`

// listenerScript gives the fact "listening" yes or no for a port (nothing where /proc cannot tell), and leaves the pid of the process in $pid
// where it is ours. The inode of the socket is the 10th field.
func listenerScript(port int) string {
	return factFunction + fmt.Sprintf(`pid=
if [ -r /proc/net/tcp ]; then
	inodes=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ local _ state _ _ _ _ _ inode _; do
		[ "$state" = 0A ] && [ "${local##*:}" = %04X ] && printf '%%s ' "$inode"
	done)
	if [ -n "$inodes" ]; then fact listening yes; else fact listening no; fi
	for i in $inodes; do
		pid=$(ls -l /proc/[0-9]*/fd 2>/dev/null | awk -v want="socket:[$i]" '/^\/proc\// { split($0, at, "/") } $NF == want { print at[3]; exit }')
		[ -z "$pid" ] || break
	done
	[ -z "$pid" ] || fact pid "$pid"
fi
`, port)
}
