# Removes the unix socket $dbk_p if it is our own and /proc/net/unix, which lists those that live, does not have it. Spaces in a
# path need no care: the path is the last column, and the whole of the line's end is compared.
if [ -S "$dbk_p" ] && [ ! -h "$dbk_p" ] && [ -O "$dbk_p" ] && [ -r /proc/net/unix ]; then
	dbk_p=$dbk_p awk 'BEGIN { p = " " ENVIRON["dbk_p"] } substr($0, length($0) - length(p) + 1) == p { exit 1 }' /proc/net/unix && rm -f -- "$dbk_p"
fi
