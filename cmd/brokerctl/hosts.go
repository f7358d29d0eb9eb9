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
		Long: `List the hosts of the ssh configuration, with the state of the links to them, how long a round trip takes, how many sessions and
forwards use them, and the last error of a link that is not up. open and forward take any other host that ssh reaches, too.

A link is up, connecting, waiting for the next try, or down where nobody needs it. needs-auth is one that only you can help: brokerctl
auth HOST. Forwards of the ssh configuration that nobody makes are told of below the list.`,
		Example: `  brokerctl hosts
  brokerctl hosts --json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.talk(cmd.Context(), func(c *api.Client) error { return a.hosts(cmd.Context(), c) })
		},
	}
}

func (a *app) hosts(ctx context.Context, c *api.Client) error {
	ctx, cancel := context.WithTimeout(ctx, quickTimeout)
	defer cancel()
	hosts, err := c.Hosts(ctx)
	if err != nil {
		return err
	}
	if err := printList(a, hosts, "the ssh configuration names no hosts", hostTable); err != nil || a.json {
		return err
	}
	a.tellSSHForwards(hosts)
	return nil
}

// tellSSHForwards says that the ssh configuration has forwards that nothing makes.
func (a *app) tellSSHForwards(hosts []api.Host) {
	const shown = 5
	var names []string
	for _, h := range hosts {
		if h.SSHForwards > 0 {
			names = append(names, fmt.Sprintf("%s (%d)", h.Name, h.SSHForwards))
		}
	}
	if len(names) == 0 {
		return
	}
	if more := len(names) - shown; more > 0 {
		names = append(names[:shown], fmt.Sprintf("%d more hosts", more))
	}
	a.warn("forwards of the ssh configuration are not made: " + strings.Join(names, ", "))
	a.hint("ssh_forwards = true in a [[host]] of brokerd's configuration keeps them up, false ends this warning")
}

// hostTable is the list as lines, clean.
func hostTable(hosts []api.Host, width int) []string {
	rows := make([][]string, 0, len(hosts))
	for _, h := range hosts {
		link, rtt, trouble := "", "", ""
		if h.Link != nil {
			link = clean(h.Link.State)
			if h.Link.State == "up" && h.Link.RTT > 0 {
				rtt = fmt.Sprintf("%.1f ms", h.Link.RTT)
			}
			if h.Link.Error != nil {
				trouble = clean(h.Link.Error.Message)
			}
		}
		rows = append(rows, []string{clean(h.Name), clean(h.HostName), clean(h.User), strconv.Itoa(h.Port), dash(link), dash(rtt),
			strconv.Itoa(h.Sessions), strconv.Itoa(h.Forwards), dash(trouble)})
	}
	return fitted([]string{"NAME", "HOSTNAME", "USER", "PORT", "LINK", "RTT", "SESSIONS", "FORWARDS", "ERROR"}, rows, width, "PORT", "RTT", "USER")
}
