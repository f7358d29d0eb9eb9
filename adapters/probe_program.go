package adapters

import "strings"

// programScript says where a program's file is: "dir" if one of its spellings exists, "no-program" if none does. The suffixes are
// those that the interpreter tries by itself.
func programScript(program string, suffixes ...string) string {
	if program == "" {
		return ""
	}
	names := []string{quoteWord(program)}
	for _, s := range suffixes {
		names = append(names, quoteWord(program+s))
	}
	return "p=" + quoteWord(program) + `
case $p in
	*/*) dir=${p%/*}; [ -n "$dir" ] || dir=/;;
	*) dir=.;;
esac
there=
for f in ` + strings.Join(names, " ") + `; do [ -e "$f" ] && there=1; done
if [ -n "$there" ]; then cd -- "$dir" 2>/dev/null && say dir "$(pwd)"; else say no-program 1; fi
`
}
