# Fills a program's standard input with what follows on the channel, byte for byte, until either ends. Needs dbk_ws, dbk_pid, identity.sh.
dbk_fifo=$dbk_ws/.in-$dbk_pid
if ! dbk_ours "$dbk_ws" || [ ! -p "$dbk_fifo" ] || [ -h "$dbk_fifo" ]; then
	printf 'E stdin\n'
	exit 1
fi
# A program that has ended already must not hold us up: both ways it can be opened at any time.
exec 4<>"$dbk_fifo" 5>"$dbk_fifo" 4<&-
rm -f "$dbk_fifo"
# Only now are the bytes sent: a shell reads its script ahead in blocks.
printf 'I\n'
# Nobody reads any more: the writer is to learn it.
exec cat <&3 >&5 3<&- 5>&-
