package main

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

func (a *app) eventsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print what has happened to the sessions and forwards",
		Example: `  brokerctl events
  brokerctl events -f --json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			c, err := a.connect(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			err = follows(a, ctx, follow, func(ctx context.Context) iter.Seq2[api.Event, error] { return c.Events(ctx, follow) }, eventLine)
			if err == nil && follow {
				return watchEnd(ctx, nil)
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens from now on")
	return cmd
}

func eventLine(e api.Event) string {
	return fmt.Sprintf("%s  %-6s  %-10s  %s\n", e.Time.Local().Format(time.DateTime), dash(clean(e.Session)), clean(e.Kind), clean(e.Text))
}
