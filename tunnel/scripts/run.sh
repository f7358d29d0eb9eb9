# Runs dbk_script, and ends its process group when the channel is closed before it has ended.
(
	trap '' HUP INT QUIT TERM PIPE
	exec >/dev/null 2>&1
	while read -r dbk_x <&3; do :; done
	# Below sudo we lead no group, but the group is this channel's all the same.
	kill -TERM -$$ || kill -TERM 0
	sleep 1
	kill -KILL -$$ || kill -KILL 0
) &
dbk_watch=$!
(
	exec 3<&-
	eval "$dbk_script"
)
dbk_code=$?
kill -KILL $dbk_watch
