package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

func (a *app) hostsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hosts",
		Short: "List the hosts of the ssh configuration",
		Long: `List the hosts of the ssh configuration, with the state of the links to them, how long a round trip takes, and how many sessions
and forwards use them. open and forward take any other that ssh reaches, too.`,
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
		link, rtt := "", ""
		if h.Link != nil {
			link = clean(h.Link.State)
			if h.Link.State == "up" && h.Link.RTT > 0 {
				rtt = fmt.Sprintf("%.1f ms", h.Link.RTT)
			}
		}
		rows = append(rows, []string{clean(h.Name), clean(h.HostName), clean(h.User), strconv.Itoa(h.Port), dash(link), dash(rtt),
			strconv.Itoa(h.Sessions), strconv.Itoa(h.Forwards)})
	}
	return fitted([]string{"NAME", "HOSTNAME", "USER", "PORT", "LINK", "RTT", "SESSIONS", "FORWARDS"}, rows, width, "USER", "PORT", "RTT")
}
