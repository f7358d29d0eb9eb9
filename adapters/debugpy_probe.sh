# Prints facts about one place to run python in; runs nothing of the user's. The variables were set by the lines before:
# interpreter (--interpreter), configured (a list of words), program, module, path (of the login shell), pid (of a program that runs
# already); home_of and $here are of probe_head.sh. Of debugpy_target.sh are want (the only version that will do) and candidates (words).
set -f
path=${path:-$PATH}
begun=$(date +%s)
limit='timeout -k 1 8'
$limit true >/dev/null 2>&1 || limit=

# The program.
if [ -n "$program" ]; then
	file=$program; case $file in /*) ;; *) file=./$file ;; esac
	if [ ! -e "$file" ]; then fact program missing
	elif [ ! -r "$file" ]; then fact program unreadable
	elif [ -d "$file" ] && [ ! -e "$file/__main__.py" ]; then fact program no_main
	else fact program found
	fi
fi

# The interpreter: the first that imports debugpy. Python's own -c puts the working directory first; it is taken out, so that nothing
# of the user's is imported, and put back only to look for a module, which imports nothing.
question='
import sys
sys.path[:1] = [p for p in sys.path[:1] if p]
out = "ERR:"
try:
    import debugpy
    out = "DBG:%d.%d.%d:%s:" % (sys.version_info[:3] + (debugpy.__version__,))
    if len(sys.argv) > 2:
        import importlib.util
        sys.path.insert(0, sys.argv[1])
        try:
            out += "found" if importlib.util.find_spec(sys.argv[2]) else "missing"
        except Exception:
            pass
except Exception:
    e = sys.exc_info()[1]
    out += "%s: %s" % (type(e).__name__, str(e).replace("\n", " ")[:200])
sys.stdout.write("\n" + out + "\n")
'

seen=:
tries=0
# try FILE: true when it is the one.
try() {
	dir=$(cd "${1%/*}/" 2>/dev/null && pwd -P; echo .); dir=${dir%??}
	case $seen in *":$dir/${1##*/}:"*) return 1 ;; esac
	seen=$seen$dir/${1##*/}:
	if [ ! -f "$1" ] || [ ! -x "$1" ]; then fact tried "absent $1"; return 1; fi
	tries=$((tries + 1))
	if [ "$tries" -gt 16 ] || [ $(($(date +%s) - begun)) -gt 25 ]; then fact tried "skipped $1"; return 1; fi
	if [ -n "$module" ]; then
		answer=$($limit "$1" -B -c "$question" "$here" "$module" </dev/null 2>/dev/null)
	else
		answer=$($limit "$1" -B -c "$question" </dev/null 2>/dev/null)
	fi
	ran=$?
	answer=$(printf '%s\n' "$answer" | LC_ALL=C sed -n -e '/^DBG:/p' -e '/^ERR:/p' | tail -n 1)
	case $answer in
	DBG:*)
		answer=${answer#DBG:}
		case ${answer%%:*}. in "${want:-${answer%%:*}}."*) ;; *) fact tried "other_version $1: ${answer%%:*}"; return 1 ;; esac
		found_python=$1
		fact interpreter "$1"
		fact version "${answer%%:*}"; answer=${answer#*:}
		fact debugpy "${answer%%:*}"
		fact module "${answer#*:}"
		return 0 ;;
	'ERR:ModuleNotFoundError: No module named '?debugpy? | 'ERR:ImportError: No module named debugpy') fact tried "no_debugpy $1" ;;
	ERR:*) fact tried "broken $1: ${answer#ERR:}" ;;
	*) if [ "$ran" -eq 124 ] || [ "$ran" -eq 137 ]; then fact tried "slow $1"; else fact tried "broken $1: exit status $ran"; fi ;;
	esac
	return 1
}

# relative FILE: tries $here/FILE, unless it is what somebody else has put there: anybody may into /tmp. Whose the directory is may, since the
# program there is theirs too; but not where root stands only because it looks into their running program.
relative() {
	file=$1
	while :; do case $file in ./*) file=${file#./} ;; *) break ;; esac; done
	owner=$(owner_of "$here/${file%%/*}")
	case $owner in
	0 | "$(id -u)") ;;
	*)
		if [ -e "$here/$file" ] && { [ -n "$pid" ] || [ -z "$owner" ] || [ "$owner" != "$(owner_of "$here/.")" ]; }; then
			fact tried "foreign $here/$file"
			return 1
		fi ;;
	esac
	try "$here/$file"
}
owner_of() { ls -ldn "$1" 2>/dev/null | { read -r mode links owner rest; printf '%s' "$owner"; }; }

# on_path NAME: tries it at every absolute PATH entry.
on_path() {
	found=1
	rest=$path:
	while [ -n "$rest" ]; do
		entry=${rest%%:*}; rest=${rest#*:}
		case $entry in /*) ;; *) continue ;; esac
		entry=${entry%/}
		if [ -f "$entry/$1" ] && [ -x "$entry/$1" ]; then found=0; try "$entry/$1" && exit 0; fi
	done
	[ "$found" -eq 0 ] || [ "$2" != named ] || fact tried "absent $1"
}

# named WORD: a file, or a name for PATH.
named() {
	word=$(home_of "$1"); word=${word%.}
	case $word in
	/*) try "$word" && exit 0 ;;
	*/*) relative "$word" && exit 0 ;;
	*) on_path "$word" named ;;
	esac
}

if [ -n "$interpreter" ]; then named "$interpreter"; exit 0; fi
eval "set -- $candidates"
for word; do try "$word" && exit 0; done
eval "set -- $configured"
for word; do named "$word"; done
[ -x "$here/.venv/bin/python" ] && relative .venv/bin/python && exit 0
rest_of_path=$path:
while [ -n "$rest_of_path" ]; do
	entry=${rest_of_path%%:*}; rest_of_path=${rest_of_path#*:}
	case $entry in /*) ;; *) continue ;; esac
	for name in python3 python; do
		file=${entry%/}/$name
		if [ -f "$file" ] && [ -x "$file" ]; then try "$file" && exit 0; fi
	done
done
[ -x /usr/bin/python3 ] && try /usr/bin/python3 && exit 0
exit 0
