# Makes a private directory as a session does, writes a file, runs it, and removes both. Is given $dir, which nobody else has.
umask 077
parent=${dir%/*}
df -Pk "$parent" 2>/dev/null | awk 'NR == 2 && $4 ~ /^[0-9]+$/ { print "free_kb " $4 }'
why=$(mkdir -m 700 "$dir" 2>&1) || {
	printf 'why %s\n' "$why"
	exit 0
}
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
echo made yes
why=$( (printf '#!/bin/sh\nexit 0\n' >"$dir/x") 2>&1) && [ -s "$dir/x" ] && chmod 700 "$dir/x" || {
	printf 'why %s\n' "$why"
	exit 0
}
echo written yes
if "$dir/x" >/dev/null 2>&1; then echo runs yes; fi
