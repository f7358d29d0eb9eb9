package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

func (a *app) forwardsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "forwards",
		Short: "List the forwards",
		Long: `List the forwards, one a line, with how many connections are open and how much has come IN from the host and gone OUT to it.

A forward is up, waiting for its host, or failed: then nothing listens where it should, and brokerd tries again by itself. The ERROR says
why it is not up, or of one that is up what became of the last connection that came to nothing. There is a NOTE where a host's sshd
listens on other addresses than it was asked to, or on another port than before.

With --watch the list is redrawn as it changes; where stdout is no terminal, and with --json, each forward is a line, and then each
change of it.`,
		Example: `  brokerctl forwards
  brokerctl forwards --watch
  brokerctl forwards --json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.talk(cmd.Context(), func(c *api.Client) error {
				if follow {
					return watch(cmd.Context(), a, watchForwards(c))
				}
				return a.forwards(cmd.Context(), c)
			})
		},
	}
	cmd.Flags().BoolVar(&follow, "watch", false, "go on, and show each change")
	return cmd
}

func (a *app) forwards(ctx context.Context, c *api.Client) error {
	ctx, cancel := context.WithTimeout(ctx, quickTimeout)
	defer cancel()
	list, err := c.Forwards(ctx)
	if err != nil {
		return err
	}
	return printList(a, list, "no forwards", forwardTable)
}

// watchForwards is the list of forwards.
func watchForwards(c *api.Client) watched[api.Forward] {
	return watched[api.Forward]{
		stream: func(ctx context.Context) iter.Seq2[api.Forward, error] { return c.WatchForwards(ctx) },
		whole:  func(f api.Forward) api.Forward { return f },
		line:   forwardChange,
		merge: func(list []api.Forward, f api.Forward) []api.Forward {
			return put(list, f, func(o api.Forward) bool { return o.Name == f.Name }, f.State == api.ForwardRemoved)
		},
		table: forwardTable,
		none:  "no forwards",
	}
}

func forwardChange(now time.Time, f api.Forward) string {
	line := fmt.Sprintf("%s %s %s %s", now.Format(time.TimeOnly), clean(f.Name), clean(string(f.State)), route(f))
	if f.Connections > 0 {
		line += fmt.Sprintf(" (%d open)", f.Connections)
	}
	if f.Error != nil {
		line += ": " + clean(f.Error.Message)
	}
	if f.Note != "" {
		line += "; " + clean(f.Note)
	}
	return line + "\n"
}

// forwardTable is the list as lines, clean.
func forwardTable(list []api.Forward, width int) []string {
	head := []string{"NAME", "HOST", "KIND", "LISTEN", "TARGET", "STATE", "OPEN", "IN", "OUT", "ERROR"}
	noted := slices.ContainsFunc(list, func(f api.Forward) bool { return f.Note != "" })
	if noted {
		head = append(head, "NOTE")
	}
	rows := make([][]string, 0, len(list))
	for _, f := range list {
		trouble := ""
		if f.Error != nil {
			trouble = clean(f.Error.Message)
		}
		row := []string{clean(f.Name), clean(f.Host), clean(f.Kind), clean(f.Listen), dash(clean(f.Target)), clean(string(f.State)),
			strconv.Itoa(f.Connections), size(f.BytesIn), size(f.BytesOut), dash(trouble)}
		if noted {
			row = append(row, dash(clean(f.Note)))
		}
		rows = append(rows, row)
	}
	return fitted(head, rows, width, "IN", "OUT", "OPEN", "KIND", "HOST")
}

// size is a number of bytes for people: 999 B, 1.2 kB, 34 MB.
func size(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, units := float64(n), []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	unit := ""
	for i := 0; f >= 999.5 && i < len(units); i++ {
		f, unit = f/1000, units[i]
	}
	if f < 9.95 {
		return fmt.Sprintf("%.1f %s", f, unit)
	}
	return fmt.Sprintf("%.0f %s", f, unit)
}
