# Prints what the far side is, a word and its value a line. Needs identity.sh.
dbk_fact() { printf '%s %s\n' "$1" "$2"; }
dbk_uid=$(id -u)
dbk_boot
dbk_fact os "$(uname -s)"
dbk_fact arch "$(uname -m)"
dbk_fact boot "$dbk_b"
dbk_fact uid "$dbk_uid"
dbk_user=$(id -un 2>/dev/null)
dbk_fact user "$dbk_user"
dbk_fact home "${HOME:-$(cd ~ 2>/dev/null && pwd)}"
dbk_shell=$SHELL
case $dbk_shell in
/*) ;;
*) dbk_shell=$({ getent passwd "$dbk_uid" || grep "^$dbk_user:" /etc/passwd; } 2>/dev/null | awk -F: 'NR == 1 { print $7 }') ;;
esac
[ -x "$dbk_shell" ] || dbk_shell=/bin/sh
dbk_fact shell "$dbk_shell"
dbk_fact path "$PATH"
for dbk_d in /tmp /var/tmp; do
	# Without the sticky bit others could replace our directory by theirs.
	if [ -d "$dbk_d" ] && [ -w "$dbk_d" ] && [ -x "$dbk_d" ] && { [ -k "$dbk_d" ] || [ -O "$dbk_d" ]; }; then
		dbk_fact temp "$dbk_d"
		break
	fi
done
if [ -r "$dbk_proc/self/stat" ]; then dbk_fact proc yes; fi
# Accounts of a directory (LDAP and the like) are in no file: where there is one, somebody is in it.
: "${dbk_etc:=/etc}"
dbk_more=$(sed -n 's/#.*//; s/^[[:space:]]*passwd[[:space:]]*:/ /p' "$dbk_etc/nsswitch.conf" 2>/dev/null | tr '[:space:]' '\n' |
	grep -cvE '^(|files|compat|db|systemd|altfiles|extrausers|mymachines|\[.*|.*\])$')
case $(uname -s) in Darwin) dbk_first=500 ;; *) dbk_first=1000 ;; esac
{
	if [ "$dbk_first" = 500 ]; then
		dscl . -list /Users UniqueID | awk '{ print $1 ":x:" $2 ":::::/bin/zsh" }'
	else
		cat "$dbk_etc/passwd"
	fi
} 2>/dev/null | awk -F: -v me="$dbk_uid" -v first="$dbk_first" -v more="${dbk_more:-0}" '
	$3 + 0 >= first && $3 != me && $3 != 65534 && $7 !~ /\/(nologin|false|sync|halt|shutdown)$/ { n++ }
	END { print "others " n + (more > 0) }'
