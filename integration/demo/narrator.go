package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// narrator tells the audience what happens. Write errors are of no interest: a closed pipe must not keep the demo from cleaning up.
type narrator struct{ out io.Writer }

func (n narrator) title(text string) {
	fmt.Fprintf(n.out, "\n%s\n%s\n", text, strings.Repeat("=", len([]rune(text))))
}

func (n narrator) step(format string, args ...any) { fmt.Fprintf(n.out, "\n* "+format+"\n", args...) }

func (n narrator) say(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(n.out, "  %s\n", line)
	}
}

// command shows a command line as the audience could type it.
func (n narrator) command(argv ...string) {
	quoted := make([]string, len(argv))
	for i, a := range argv {
		quoted[i] = a
		if a == "" || strings.ContainsAny(a, " '\"$\\") {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	fmt.Fprintf(n.out, "  $ %s\n", strings.Join(quoted, " "))
}

func (n narrator) show(format string, args ...any) { fmt.Fprintf(n.out, "      "+format+"\n", args...) }

func (n narrator) variables(vars map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		n.show("%s = %s", name, vars[name])
	}
}
