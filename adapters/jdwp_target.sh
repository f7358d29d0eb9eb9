# Prints facts about a running JVM. The variables were set by the lines before: pid, uid, port (its debug agent's, if its command line tells
# it) and seen (1 if that tells of an agent).
exe=$(readlink -f "/proc/$pid/exe" 2>/dev/null)
release=${exe%/bin/java}/release
[ -f "$release" ] && [ -r "$release" ] && fact version "$(sed -n 's/^JAVA_VERSION="\([^"]*\)"$/\1/p' "$release" | head -n 1)"

# Is the agent's library there at all?
case $(grep -c '/libjdwp\.so' "/proc/$pid/maps" 2>/dev/null) in '') ;; 0) fact agent no ;; *) fact agent yes ;; esac

# The JVM reads more options from these (the launcher from JDK_JAVA_OPTIONS).
if [ -z "$seen" ]; then
	options=$({ tr '\0' '\n' <"/proc/$pid/environ"; } 2>/dev/null | sed -n -e 's/^JAVA_TOOL_OPTIONS=//p' -e 's/^_JAVA_OPTIONS=//p' -e 's/^JDK_JAVA_OPTIONS=//p' | grep jdwp | head -n 1)
	fact options "$options"
	port=$(printf '%s\n' "$options" | sed -n 's/.*jdwp[^ ]*[,=:]address=\([^, ]*:\)\{0,1\}\([0-9]\{1,5\}\).*/\2/p')
fi

# Who is connected to the agent? It takes one front end, and does not listen meanwhile.
if [ -n "$port" ]; then
	hex=$(printf %04X "$port")
	ours=" $(ls -l "/proc/$pid/fd" 2>/dev/null | sed -n 's/.*socket:\[\([0-9]*\)\]$/\1/p' | tr '\n' ' ')"
	connections() { cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v hex="$hex" -v ours="$ours" -v peer="$1" '
		$4 == "01" {
			split($2, l, ":"); split($3, r, ":")
			if (peer == "" && l[2] == hex && index(ours, " " $10 " ")) { print r[2]; exit }
			if (peer != "" && l[2] == peer && r[2] == hex) { print $10; exit }
		}'; }
	peer=$(connections '')
	if [ -n "$peer" ]; then
		inode=$(connections "$peer")
		by=$(ls -l /proc/[0-9]*/fd 2>/dev/null | awk -v want="socket:[$inode]" '/^\/proc\// { split($0, at, "/") } $NF == want { print at[3]; exit }')
		name=
		[ -z "$by" ] || { read -r name <"/proc/$by/comm"; } 2>/dev/null
		fact client "${by:+pid $by${name:+ ($name)}}"
		fact connected yes
	fi
fi

# jcmd beside the program's own java. Root runs it only where nobody else could have changed it.
trusted() {
	p=$1
	while [ -n "$(find "$p" -prune -user 0 ! -perm -020 ! -perm -002 2>/dev/null)" ]; do
		[ "$p" != / ] || return 0
		p=${p%/*}; p=${p:-/}
	done
	return 1
}
beside=
case $exe in
/*/*)
	beside=$(readlink -f "${exe%/*}/jcmd" 2>/dev/null)
	[ "$(id -u)" = "$uid" ] || trusted "$beside" || beside= ;;
esac
