package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

func (a *app) extendCommand() *cobra.Command {
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "extend ID --ttl TIME",
		Short: "Give a session more time",
		Long: `Set the end of a session to TIME from now. A time that would bring the end nearer is refused: brokerctl close ends a session.
Front ends stay attached.`,
		Example: `  brokerctl extend k3f9x2 --ttl 1h
  brokerctl extend k3f9x2 --ttl 90m --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := oneID(cmd, args); err != nil {
				return err
			}
			switch {
			case !cmd.Flags().Changed("ttl"):
				return usage(cmd, "extend takes --ttl: for how long from now")
			case ttl < time.Second:
				return usage(cmd, "--ttl is too short: at least 1s")
			case ttl > maxTTL:
				return usage(cmd, "--ttl is too long: at most 720h, which is 30 days")
			}
			return nil
		},
		ValidArgsFunction: a.completeSessions(false, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.printSession(cmd.Context(), func(ctx context.Context, c *api.Client) (api.Session, error) { return c.Extend(ctx, args[0], ttl) }, extended)
		},
	}
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "close the session after this `TIME` from now, as in 90m or 2h; at most 720h, which is 30 days")
	return cmd
}

// extended is what extend says, clean.
func extended(s api.Session, now time.Time) string {
	return fmt.Sprintf("%s closes by itself at %s (in %s)\n", clean(s.ID), s.Expires.Local().Format(time.DateTime), age(s.Expires.Sub(now).Round(time.Second)))
}
