# The versions of Delve and Go. They stand in Delve's build information (`go version -m` shows it) and in Go's own directory. Is given $dlv,
# and the go command in $found.
if [ -n "$dlv" ]; then
	line=$(LC_ALL=C grep -a -o '[a-z]*	github.com/go-delve/delve	v[0-9][0-9A-Za-z.+-]*' "$dlv" 2>/dev/null | head -n 1)
	[ -z "$line" ] || fact dlv_version "${line##*	v}"
fi
if [ -n "$found" ]; then
	real=$(readlink -f "$found" 2>/dev/null) || real=$found
	version=
	{ read -r version _ <"${real%/bin/go}/VERSION"; } 2>/dev/null
	[ -n "$version" ] || version=$(cd / && GOTOOLCHAIN=local "$found" env GOVERSION 2>/dev/null </dev/null)
	fact go_version "$version"
	[ -z "$dlv" ] || fact dlv_go "$(cd / && GOTOOLCHAIN=local "$found" version "$dlv" 2>/dev/null </dev/null | sed -n 's/.*: \(go[0-9][0-9.a-z]*\).*/\1/p')"
fi
