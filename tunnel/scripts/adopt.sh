# Records dbk_pid. Needs identity.sh, dbk_ws, dbk_pid, dbk_role. Prints boot id, pid, start time.
dbk_ours "$dbk_ws" || exit 41
dbk_boot
dbk_ident "$dbk_pid" || exit 42
case $dbk_state in Z* | X*) exit 42 ;; esac
if [ -d "$dbk_proc/$dbk_pid" ]; then [ -O "$dbk_proc/$dbk_pid" ] || exit 43; fi
# What is older than all that was recorded here is nothing that we have started. (Only /proc's start times can be compared.)
dbk_older=
for dbk_f in "$dbk_ws"/.dbk-*; do
	read -r dbk_v dbk_rb dbk_p dbk_s dbk_x 2>/dev/null <"$dbk_f" || continue
	[ "$dbk_rb" = "$dbk_b" ] || continue
	case $dbk_start$dbk_s in *[!0-9]*) continue ;; esac
	if [ "$dbk_start" -ge "$dbk_s" ]; then dbk_older= && break; else dbk_older=1; fi
done
[ -z "$dbk_older" ] || exit 43
# A process that escaped leads its session, or the session is of others and none of our business.
if [ "$dbk_sid" = "$dbk_pid" ]; then dbk_kind=s; elif [ "$dbk_pgid" = "$dbk_pid" ]; then dbk_kind=g; else dbk_kind=p; fi
dbk_record "$dbk_pid" "$dbk_start" "$dbk_kind" "$dbk_pid" "$dbk_role" || exit 44
printf '%s %s %s\n' "$dbk_b" "$dbk_pid" "$dbk_start"
