package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

func (a *app) listCommand() *cobra.Command {
	var all, follow bool
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the sessions",
		Long: `List the sessions, one a line; a screen that is too narrow for all columns shows the most important ones. With --watch the list is redrawn as it changes; where stdout is no terminal, and with --json, each
session is a line, and then each change of it.`,
		Example: `  brokerctl list
  brokerctl list --all            # those that ended in the last 24 hours too
  brokerctl list --watch
  brokerctl list --json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.talk(cmd.Context(), func(c *api.Client) error {
				if follow {
					return watch(cmd.Context(), a, watchSessions(c, all))
				}
				return a.list(cmd.Context(), c, all)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "those that ended in the last 24 hours too")
	cmd.Flags().BoolVar(&follow, "watch", false, "go on, and show each change")
	return cmd
}

func (a *app) list(ctx context.Context, c *api.Client, all bool) error {
	ctx, cancel := context.WithTimeout(ctx, quickTimeout)
	defer cancel()
	sessions, err := c.Sessions(ctx, all)
	if err != nil {
		return err
	}
	for i, s := range sessions {
		sessions[i] = whole(s)
	}
	return printList(a, sessions, "no sessions", func(list []api.Session, width int) []string { return sessionTable(list, time.Now(), width) })
}

// sessionTable is the list as lines, clean.
func sessionTable(sessions []api.Session, now time.Time, width int) []string {
	head := []string{"ID", "HOST", "LANG", "PHASE", "LOCAL", "PID", "CLIENTS", "AGE", "EXPIRES", "COMMAND"}
	rows := make([][]string, 0, len(sessions))
	for _, s := range sessions {
		pid, expires := "", ""
		if s.PID != nil {
			pid = strconv.Itoa(*s.PID)
		}
		if !s.Phase.Ended() && !s.Expires.IsZero() {
			expires = age(s.Expires.Sub(now))
		}
		rows = append(rows, []string{clean(s.ID), dash(clean(s.Host)), clean(s.Lang), phase(s), dash(clean(s.Local)), dash(pid),
			strconv.Itoa(s.Clients), age(now.Sub(s.Created)), dash(expires), dash(debugged(s))})
	}
	return fitted(head, rows, width, "CLIENTS", "AGE", "PID", "EXPIRES")
}
