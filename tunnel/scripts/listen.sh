# Listens on the unix socket dbk_sock, says so, and ends with the end of the channel's input (descriptor 3), or after some seconds. The first
# connection is accepted and held until then: one that is not accepted when the listener ends is reset, and sshd would call that a refusal.
# Says "none" where there is nothing that could listen.
if command -v perl >/dev/null 2>&1; then
	perl -e '
		use Socket; $| = 1; alarm 8;
		socket(S, PF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un($ARGV[0])) && listen(S, 1) or exit 1;
		print "listening\n"; vec($r, fileno(S), 1) = 1; vec($r, 0, 1) = 1; select($r, undef, undef, undef);
		if (vec($r, fileno(S), 1)) { accept(C, S); sysread(STDIN, $_, 1) }' "$dbk_sock" <&3
elif command -v python3 >/dev/null 2>&1; then
	python3 -c 'import os, select, signal, socket, sys
signal.alarm(8); s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1)
print("listening", flush=True); ready, _, _ = select.select([s, 0], [], [])
if s in ready: c = s.accept(); os.read(0, 1)' "$dbk_sock" <&3
else
	echo none
fi
dbk_code=0
