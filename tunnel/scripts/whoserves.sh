# Tells who serves this connection, as one line (boot id, pid, start time): the sshd that started this shell, which is also who listens for
# forwards of the connection. 42 where that cannot be told.
dbk_boot
dbk_c=
{ read -r dbk_c <"$dbk_proc/$PPID/comm"; } 2>/dev/null
case $dbk_c in sshd*) ;; *) exit 42 ;; esac
dbk_ident "$PPID" || exit 42
printf '%s %s %s\n' "$dbk_b" "$PPID" "$dbk_start"
