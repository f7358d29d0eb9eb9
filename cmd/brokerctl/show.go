package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show one session in full",
		Long:  "Show one session in full: what runs where, how to attach, warnings, how it ended.",
		Example: `  brokerctl show k3f9x2
  brokerctl show k3f9x2 --json`,
		Args:              oneID,
		ValidArgsFunction: a.completeSessions(true, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.printSession(cmd.Context(), func(ctx context.Context, c *api.Client) (api.Session, error) { return c.Session(ctx, args[0]) }, shown)
		},
	}
}

// shown is a session in full, clean. What is not known has no line.
func shown(s api.Session, now time.Time) string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-10s %s\n", key, clean(value))
		}
	}
	line("id", s.ID)
	line("host", hostName(s))
	line("language", s.Lang+" ("+s.Mode+", "+s.Protocol+")")
	line("phase", string(s.Phase))
	if l := s.Link; l != nil && s.Host != "" && !s.Phase.Ended() {
		line("link", fmt.Sprintf("%s, round trip %.1f ms, %d reconnects", l.State, l.RTT, l.Reconnects))
	}
	line("local", s.Local)
	if !s.Phase.Ended() {
		line("clients", fmt.Sprint(s.Clients))
	}
	line("server", strings.TrimSuffix(s.Server+" at "+s.Remote, " at "))
	if s.PID != nil {
		line("pid", fmt.Sprint(*s.PID))
	}
	line("command", commandLine(s.Command))
	line("cwd", s.Cwd)
	for _, m := range s.Map {
		line("paths", pathMap(s, m))
	}
	line("created", s.Created.Local().Format(time.DateTime)+" ("+age(now.Sub(s.Created))+" ago)")
	if s.Ended != nil {
		line("ended", s.Ended.Local().Format(time.DateTime)+" ("+age(now.Sub(*s.Ended))+" ago)")
	} else if !s.Expires.IsZero() {
		line("expires", s.Expires.Local().Format(time.DateTime)+" (in "+age(s.Expires.Sub(now))+")")
	}
	line("policy", s.Policy)
	line("reason", s.Reason)
	line("exit", exitText(s.Exit))
	if s.Error != nil {
		line("error", s.Error.Message)
		for out := range strings.Lines(strings.TrimSpace(cleanText(s.Error.Output))) {
			line("", "  | "+strings.TrimRight(out, "\n"))
		}
		line("hint", s.Error.Hint)
	}
	for _, w := range s.Warnings {
		line("warning", w)
	}
	for _, l := range s.Left {
		line("left", l)
	}
	if !s.Phase.Ended() {
		for _, h := range hints(s) {
			line("attach", h.frontEnd+": "+h.text)
		}
	}
	return b.String()
}
