# Prints "runs DIR" for each directory of ours in which a process is recorded that still runs (tunnel/scripts/identity.sh has the
# format), "new DIR" for one that was made or used a moment ago, and "idle DIR" for the others.
boot=
{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
for d in /tmp/dbk-* /var/tmp/dbk-*; do
	[ -d "$d" ] && [ ! -h "$d" ] && [ -O "$d" ] || continue
	case $d in *[!A-Za-z0-9/-]*) continue ;; esac
	word=idle
	for f in "$d"/.dbk-*; do
		[ -f "$f" ] && [ ! -h "$f" ] && read -r _ b pid start _ <"$f" || continue
		case $pid in '' | *[!0-9]*) continue ;; esac
		[ -z "$boot" ] || [ "$b" = "$boot" ] || continue
		if [ -r /proc/self/stat ]; then
			now=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | awk '$1 !~ /[ZX]/ { print $20; exit }')
			[ -z "$now" ] || [ "$now" != "$start" ] || word=runs
		elif kill -0 "$pid" 2>/dev/null; then
			word=runs
		fi
	done
	[ "$word" = runs ] || [ -z "$(find "$d" -prune -mmin -2 2>/dev/null)" ] || word=new
	printf '%s %s\n' "$word" "$d"
done
