package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/cmd/brokerctl/ide"
)

// opened is what open says of a session that is ready, clean.
func opened(t terminal, s api.Session) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s:%s is %s", t.paint(green, clean(s.Local)), clean(s.Host), clean(s.Lang), clean(string(s.Phase)))
	about := []string{"session " + s.ID}
	if s.Server != "" {
		about = append(about, s.Server)
	}
	if s.PID != nil {
		about = append(about, fmt.Sprintf("pid %d", *s.PID))
	}
	fmt.Fprintf(&b, " (%s)\n", clean(strings.Join(about, ", ")))
	for _, h := range hints(s) {
		fmt.Fprintf(&b, "  %-8s %s\n", h.frontEnd+":", clean(h.text))
	}
	for _, m := range s.Map {
		fmt.Fprintf(&b, "  %-8s %s\n", "paths:", clean(pathMap(s, m)))
	}
	until := ""
	if !s.Expires.IsZero() {
		until = fmt.Sprintf("   (closes by itself at %s)", s.Expires.Local().Format(time.DateTime))
	}
	fmt.Fprintf(&b, "  %-8s brokerctl close %s%s\n", "close:", clean(s.ID), until)
	return b.String()
}

// hint is how one front end attaches.
type hint struct{ frontEnd, text string }

// hints tells how to attach to s in one line each: the terminal's own debugger, Chrome, and VS Code's entry. `brokerctl ide` has the rest,
// made by the same package.
func hints(s api.Session) []hint {
	var all []hint
	for _, f := range []string{"cli", "chrome", "vscode"} {
		c, err := ide.Make(f, s)
		switch {
		case err != nil: // this front end is not for this language
		case f == "cli":
			name, _, _ := strings.Cut(c.Text, " ")
			all = append(all, hint{name, strings.TrimSpace(c.Text)})
		case f == "chrome":
			all = append(all, hint{"Chrome", "chrome://inspect, Configure, add " + strings.TrimSpace(c.Text)})
		default:
			all = append(all, hint{"VS Code", c.Line()})
		}
	}
	return all
}
