package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

func (a *app) unforwardCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "unforward NAME... | --all",
		Short: "Remove forwards",
		Long: `Remove forwards: their connections end, and their ports are free. A forward that the configuration or the ssh configuration asks for
comes back when brokerd is started again. Of several names those that are no forward's are told, and the rest are removed.`,
		Example: `  brokerctl unforward pg
  brokerctl unforward --all`,
		ValidArgsFunction: a.completeForwards,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case all && len(args) > 0:
				return usage(cmd, "unforward takes names or --all, not both")
			case !all && len(args) == 0:
				return usage(cmd, "unforward takes names of forwards, or --all")
			}
			for _, name := range args {
				if err := validForward(cmd, name); err != nil {
					return err
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			ctx, cancel := context.WithTimeout(cmd.Context(), forwardTimeout)
			defer cancel()
			if all {
				list, err := c.Forwards(ctx)
				if err != nil {
					return err
				}
				for _, f := range list {
					args = append(args, f.Name)
				}
				if len(args) == 0 {
					a.say("no forwards")
				}
			}
			return a.unforward(ctx, c, distinct(args))
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every forward")
	return cmd
}

// unforward removes all, whatever becomes of one. The exit status is the first failure's; where nothing was removed the failure is the
// answer.
func (a *app) unforward(ctx context.Context, c *api.Client, names []string) error {
	removed := []api.Forward{}
	var failed []*api.Error
	for _, name := range names {
		f, err := c.RemoveForward(ctx, name)
		if err != nil {
			failed = append(failed, classify(ctx, err))
			continue
		}
		removed = append(removed, f)
		if a.json {
			continue
		}
		if err := a.print("removed " + clean(f.Name) + "\n"); err != nil {
			return err
		}
		if f.Source != "command" {
			a.warn(f.Name + " comes back when brokerd is started again: the " + map[string]string{"config": "configuration", "ssh-config": "ssh configuration"}[f.Source] + " asks for it")
		}
	}
	if len(failed) > 0 && len(removed) == 0 && (len(names) == 1 || a.json) {
		return failed[0]
	}
	if a.json {
		if err := a.printJSON(removed); err != nil {
			return err
		}
	}
	for _, e := range failed {
		a.complain(e)
	}
	if len(failed) > 0 {
		return done{failed[0].Code.Exit()}
	}
	return nil
}
