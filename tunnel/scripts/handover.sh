# Gives dbk_socket in dbk_ws, which is root's, to the user dbk_uid. Needs identity.sh. Nobody else can change what is in dbk_ws, so
# what was looked at is what is changed. The way to it is opened last.
dbk_ours "$dbk_ws" || exit 41
[ -S "$dbk_socket" ] && [ ! -h "$dbk_socket" ] || exit 42
chmod 0600 "$dbk_socket" && chown -h "$dbk_uid" "$dbk_socket" && chmod 0711 "$dbk_ws"
