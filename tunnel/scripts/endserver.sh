# Asks the sshd of a lost connection (dbk_want_boot, dbk_pid, dbk_want_start) to end, if it is still that very process, and not the one that
# serves this connection.
dbk_boot
[ "$dbk_b" = "$dbk_want_boot" ] && [ "$dbk_pid" != "$PPID" ] && dbk_alive "$dbk_pid" "$dbk_want_start" || exit 42
dbk_c=
{ read -r dbk_c <"$dbk_proc/$dbk_pid/comm"; } 2>/dev/null
case $dbk_c in sshd*) ;; *) exit 42 ;; esac
kill "$dbk_pid"
