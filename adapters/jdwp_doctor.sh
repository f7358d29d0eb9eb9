# The debug agent's library (lib/ since JDK 9, lib/ARCH/ of the runtime before) and jcmd. Is given java in $found, its file in $real.
if [ -n "$found" ]; then
	for f in "${real%/bin/java}"/lib/libjdwp.so "${real%/bin/java}"/lib/*/libjdwp.so "${real%/bin/java}"/lib/libjdwp.dylib; do
		[ ! -f "$f" ] || { fact agent "$f"; break; }
	done
	for f in "${real%/bin/java}/bin/jcmd" "${real%/jre/bin/java}/bin/jcmd"; do
		[ ! -x "$f" ] || { fact jcmd "$f"; break; }
	done
fi
