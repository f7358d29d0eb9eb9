package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/debugbroker/debugbroker/broker/api"
)

// closeAtOnce bounds how many sessions are closed side by side.
const closeAtOnce = 8

func (a *app) closeCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "close ID... | --all",
		Short: "Close sessions and clean up on their hosts",
		Long: `Close sessions: the debug server and what was launched under it are stopped, and the host is looked at for what may be left. A
server that --port named is not ours, and runs on. A session that is closed already is fine. Where a host cannot be reached the
local port is gone, and the clean-up follows at the next connect; the exit status is then 5.`,
		Example: `  brokerctl close k3f9x2
  brokerctl close --all --json`,
		ValidArgsFunction: a.completeSessions(false, 0),
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case all && len(args) > 0:
				return usage(cmd, "close takes session ids or --all, not both")
			case !all && len(args) == 0:
				return usage(cmd, "close takes session ids, or --all")
			}
			for _, id := range args {
				if err := validID(cmd, id); err != nil {
					return err
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c, err := a.connect(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			if all {
				if args, err = openIDs(ctx, c); err != nil {
					return err
				}
				if len(args) == 0 {
					a.say("no sessions")
				}
			}
			p := a.startProgress("closing " + strings.Join(args, ", "))
			outcomes := closeEach(ctx, c, distinct(args))
			p.stop()
			return a.closed(ctx, outcomes)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every session")
	return cmd
}

// openIDs lists the ids of the sessions that have not ended.
func openIDs(ctx context.Context, c *api.Client) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, quickTimeout)
	defer cancel()
	sessions, err := c.Sessions(ctx, false)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, s := range sessions {
		if !s.Phase.Ended() {
			ids = append(ids, s.ID)
		}
	}
	return ids, nil
}

// distinct keeps the first of each.
func distinct(ids []string) []string {
	var out []string
	for _, id := range ids {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// outcome is what became of closing one session: err where there is no answer.
type outcome struct {
	api.Closed
	err error
}

// closeEach closes all, whatever becomes of one.
func closeEach(ctx context.Context, c *api.Client, ids []string) []outcome {
	out := make([]outcome, len(ids))
	var g errgroup.Group
	g.SetLimit(closeAtOnce)
	for i, id := range ids {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, closeTimeout)
			defer cancel()
			out[i].Closed, out[i].err = c.CloseSession(ctx, id)
			out[i].ID = id
			if out[i].Left == nil {
				out[i].Left = []string{}
			}
			return nil
		})
	}
	_ = g.Wait() // the errors are in out
	return out
}

// closed reports the outcomes. The exit status is the first failure's; where no session could be asked for at all, and nothing is
// there to list, the failure is the answer.
func (a *app) closed(ctx context.Context, all []outcome) error {
	list := make([]api.Closed, 0, len(all))
	var failed []*api.Error
	answered := false
	for _, o := range all {
		e := o.failure(ctx)
		if e != nil {
			failed = append(failed, e)
		}
		answered = answered || o.err == nil
		if o.Error == nil && o.err != nil {
			o.Error = e
		}
		list = append(list, o.Closed)
	}
	if len(failed) > 0 && !answered && (len(all) == 1 || a.json) {
		return failed[0]
	}
	if a.json {
		if err := a.printJSON(list); err != nil {
			return err
		}
	} else {
		for _, o := range all {
			if o.failure(ctx) == nil {
				if err := a.print("closed " + clean(o.ID) + "\n"); err != nil {
					return err
				}
				if len(o.Left) > 0 { // without an error: nobody can remove it
					a.warn("it stays there: " + strings.Join(o.Left, ", "))
				}
			}
		}
		for _, e := range failed {
			a.complain(e)
		}
	}
	if len(failed) > 0 {
		return done{failed[0].Code.Exit()}
	}
	return nil
}

// failure is why a session is not closed clean, or nil.
func (o outcome) failure(ctx context.Context) *api.Error {
	var e api.Error
	switch {
	case o.err != nil:
		e = *classify(ctx, o.err)
	case o.Error != nil:
		e = *o.Error
	default:
		return nil
	}
	e.Message = "close " + o.ID + ": " + e.Message
	return &e
}
