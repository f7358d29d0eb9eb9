# Prints facts about a running python program, and about what is needed to put debugpy into it. Before debugpy_probe.sh, whose
# candidates it names in $candidates. The variables were set by the lines before: pid, uid, exe, argv0, here (the program's directory), path.
path=${path:-$PATH}
PATH=$path
export PATH
limit='timeout -k 1 8'
$limit true >/dev/null 2>&1 || limit=
candidates=
add() { candidates="$candidates '$(printf '%s' "$1" | sed "s/'/'\\\\''/g")'"; }

# The version of the program's python, from its library, its name, or by asking it. What is another user's is not run as root.
want=$(sed -n 's/.*libpython\([0-9]*\.[0-9]*\).*/\1/p' "/proc/$pid/maps" 2>/dev/null | head -n 1)
case $want:$exe in :*/python[0-9]*.[0-9]* | :*/pypy[0-9]*.[0-9]*) want=$(printf '%s\n' "${exe##*/}" | sed -n 's/^[a-z]*\([0-9]*\.[0-9]*\).*/\1/p') ;; esac
ours=
[ "$(id -u)" != "$uid" ] || ours=1
if [ -n "$exe" ] && [ -n "$ours" ] && [ -x "$exe" ]; then
	[ -n "$want" ] || want=$($limit "$exe" -I -S -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null </dev/null)
	# A virtual environment's python is a link to the executable: it is named by the command line, VIRTUAL_ENV or PATH of the program.
	real=$(readlink -f "$exe")
	same() { [ -f "$1" ] && [ -x "$1" ] && [ "$(readlink -f "$1")" = "$real" ] && add "$1"; }
	variable() { tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | sed -n "s/^$1=//p" | head -n 1; }
	case $argv0 in
	/*) same "$argv0" ;;
	*/*) same "$here/$argv0" ;;
	?*)
		env=$(variable VIRTUAL_ENV)
		case $env in /*) same "$env/bin/$argv0" ;; esac
		rest=$(variable PATH):
		while [ -n "$rest" ]; do
			entry=${rest%%:*}; rest=${rest#*:}
			case $entry in /*) [ ! -e "$entry/$argv0" ] || { same "$entry/$argv0"; break; } ;; esac
		done ;;
	esac
	add "$exe"
fi
fact target_version "$want"

# debugpy's import asks for the working directory (_vendored/_util.py), and does not get in where that has been removed.
there=$(readlink "/proc/$pid/cwd" 2>/dev/null)
case $there in *' (deleted)') [ -d "$there" ] || fact cwd_removed "${there% (deleted)}" ;; esac

# At the end: is debugpy's way into a running program there, a gdb that can call a function in another process? It is tried on a process
# of our own, because the program does not survive some gdbs (gdb 13, where the processor's state is larger than it knows: "Couldn't
# write extended state status").
check_gdb() {
	fact ptrace_scope "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null)"
	gdb=$(command -v gdb 2>/dev/null)
	if [ -n "$gdb" ] && [ -n "$found_python" ]; then
		fact gdb "$gdb"
		"$found_python" -I -S -c 'import os, signal, sys, time; signal.signal(15, lambda *a: os._exit(0)); print(os.getpid()); sys.stdout.flush(); time.sleep(20)' 2>/dev/null </dev/null | {
			read -r scratch
			said=$($limit gdb --nw --nh --nx --batch --pid "$scratch" --eval-command='call (int)getpid()' 2>&1 </dev/null)
			kill "$scratch" 2>/dev/null
			case $said in
			*"\$1 = $scratch"*) fact gdb_works yes ;;
			*) fact gdb_says "$(printf '%s\n' "$said" | grep -i -e ptrace -e "couldn't" -e cannot -e "can't" -e permitted -e error | tail -n 1 | cut -c 1-200)" ;;
			esac
		}
	fi
}
trap check_gdb EXIT
