# Makes or replaces a file by the bytes that follow on the channel. Needs dbk_path, dbk_temp, dbk_size, dbk_perm.
dbk_die() {
	printf 'E %s\n' "$1"
	exit 126
}
[ ! -d "$dbk_path" ] || dbk_die 'directory'
[ -d "${dbk_temp%/*}/" ] || dbk_die 'missing'
umask 077
# Exclusive: in a directory of others a symbolic link of that name must not be followed.
(set -C; : >"$dbk_temp") 2>/dev/null || dbk_die 'create'
# Only now are the bytes sent: a shell reads its script ahead in blocks.
printf 'I\n'
dbk_code=1
if cat <&3 >"$dbk_temp" && [ $(wc -c <"$dbk_temp") -eq "$dbk_size" ]; then
	chmod "$dbk_perm" "$dbk_temp" && mv -f "$dbk_temp" "$dbk_path" && dbk_code=0
fi
[ $dbk_code = 0 ] || rm -f "$dbk_temp"
