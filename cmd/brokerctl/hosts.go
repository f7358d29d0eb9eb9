package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

func (a *app) hostsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hosts",
		Short: "List the hosts of the ssh configuration",
		Long:  "List the hosts of the ssh configuration, with the state of the links to them. open takes any other that ssh reaches, too.",
		Example: `  brokerctl hosts
  brokerctl hosts --json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			ctx, cancel := context.WithTimeout(cmd.Context(), quickTimeout)
			defer cancel()
			hosts, err := c.Hosts(ctx)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(append([]api.Host{}, hosts...))
			}
			if len(hosts) == 0 {
				a.say("the ssh configuration names no hosts")
				return nil
			}
			width, _ := a.stdout.size()
			return a.print(strings.Join(hostTable(hosts, width), "\n") + "\n")
		},
	}
}

// hostTable is the list as lines, clean.
func hostTable(hosts []api.Host, width int) []string {
	rows := make([][]string, 0, len(hosts))
	for _, h := range hosts {
		link := ""
		if h.Link != nil {
			link = clean(h.Link.State)
		}
		rows = append(rows, []string{clean(h.Name), clean(h.HostName), clean(h.User), strconv.Itoa(h.Port), dash(link), strconv.Itoa(h.Sessions)})
	}
	return fitted([]string{"NAME", "HOSTNAME", "USER", "PORT", "LINK", "SESSIONS"}, rows, width, "USER", "PORT")
}
