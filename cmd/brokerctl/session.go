package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// printSession prints the session that the daemon answers with, as JSON or as text makes it.
func (a *app) printSession(ctx context.Context, ask func(context.Context, *api.Client) (api.Session, error), text func(api.Session, time.Time) string) error {
	return a.talk(ctx, func(c *api.Client) error {
		ctx, cancel := context.WithTimeout(ctx, quickTimeout)
		defer cancel()
		s, err := ask(ctx, c)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(whole(s))
		}
		return a.print(text(s, time.Now()))
	})
}

// whole gives empty lists where s has none, so that a script need not tell null from [].
func whole(s api.Session) api.Session {
	for _, l := range []*[]string{&s.Command, &s.Warnings, &s.Left} {
		if *l == nil {
			*l = []string{}
		}
	}
	if s.Map == nil {
		s.Map = []api.PathMap{}
	}
	return s
}

// hostName is where a session is, for people.
func hostName(s api.Session) string {
	if s.Host == "" {
		return "this machine"
	}
	return s.Host
}

// pathMap is a path mapping as scp would write its sides.
func pathMap(s api.Session, m api.PathMap) string {
	if s.Host == "" {
		return m.Local + " = " + m.Remote
	}
	return m.Local + " = " + s.Host + ":" + m.Remote
}

// phase is a session's phase and, where it matters, its link's state, clean.
func phase(s api.Session) string {
	p := string(s.Phase)
	if s.Link != nil && !s.Phase.Ended() && s.Link.State != "up" && s.Link.State != "local" {
		p += "/" + s.Link.State
	}
	return clean(p)
}

// commandLine is a command as a person may read it: words with blanks or quotes in them are quoted, clean.
func commandLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\n'\"\\$`") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = clean(w)
	}
	return strings.Join(quoted, " ")
}

// debugged is what a session debugs, for a place where one line is expected, clean.
func debugged(s api.Session) string {
	command := commandLine(s.Command)
	switch {
	case s.Mode == "port":
		if i := strings.LastIndexByte(s.Remote, ':'); i >= 0 && command == "" {
			return "port " + clean(s.Remote[i+1:])
		}
	case s.Mode == "attach" && s.PID != nil:
		return strings.TrimSuffix(fmt.Sprintf("pid %d: %s", *s.PID, command), ": ")
	}
	return command
}

// age is d in at most two units.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	}
}

// exitText is how a debuggee ended, clean.
func exitText(e *api.Exit) string {
	switch {
	case e == nil:
		return ""
	case e.Code != nil:
		return fmt.Sprintf("status %d", *e.Code)
	default:
		return clean("signal " + e.Signal)
	}
}
