package adapters

import (
	"path"
	"slices"
	"strings"
)

// delveVerbs are the commands of dlv that hold a program (Delve 1.27, `dlv help`).
var delveVerbs = []string{"attach", "connect", "core", "dap", "debug", "exec", "replay", "test", "trace"}

// Recognise is as in Adapter. A program is Go's where its file has Go's build information, which another user's file may not show.
func (delve) Recognise(r Running) (Found, bool) {
	if !slices.Contains(r.Marks, "go") {
		return Found{}, false
	}
	// Delve reads the program through /proc, so that namespaces of its own are no obstacle.
	found := Found{FromOutside: true}
	if len(r.Argv) < 2 || path.Base(r.Argv[0]) != "dlv" && path.Base(r.Exe) != "dlv" || !slices.Contains(delveVerbs, r.Argv[1]) {
		return found, true
	}
	found = Found{Server: true}
	headless := r.Argv[1] == "dap" || slices.ContainsFunc(r.Argv, func(a string) bool { return a == "--headless" || a == "--headless=true" })
	for _, at := range r.Listening {
		if headless && (strings.HasPrefix(at, "127.") || strings.HasPrefix(at, "[::1]")) {
			found.Listening = at
			break
		}
	}
	return found, true
}
