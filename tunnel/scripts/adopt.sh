# Records dbk_pid. Needs identity.sh, dbk_ws, dbk_pid, dbk_role. Prints boot id, pid, start time.
dbk_ours "$dbk_ws" || exit 41
dbk_boot
dbk_ident "$dbk_pid" || exit 42
case $dbk_state in Z* | X*) exit 42 ;; esac
if [ -d "$dbk_proc/$dbk_pid" ]; then [ -O "$dbk_proc/$dbk_pid" ] || exit 43; fi
# A process that escaped leads its session, or the session is of others and none of our business.
if [ "$dbk_sid" = "$dbk_pid" ]; then dbk_kind=s; elif [ "$dbk_pgid" = "$dbk_pid" ]; then dbk_kind=g; else dbk_kind=p; fi
dbk_record "$dbk_pid" "$dbk_start" "$dbk_kind" "$dbk_pid" "$dbk_role" || exit 44
printf '%s %s %s\n' "$dbk_b" "$dbk_pid" "$dbk_start"
