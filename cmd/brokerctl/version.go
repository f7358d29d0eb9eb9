package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

// versions is what version answers with --json.
type versions struct {
	Client build           `json:"client"`
	Daemon *api.DaemonInfo `json:"daemon"` // null where none is running
}

type build struct {
	API     int    `json:"api"`
	Version string `json:"version"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of brokerctl and of the brokerd that runs",
		Example: `  brokerctl version
  brokerctl version --json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.place()
			if err != nil {
				return err
			}
			c, _ := p.client()
			defer c.Close()
			v := versions{Client: build{api.Version, ownVersion()}}
			switch info, err := ask(cmd.Context(), c); {
			case err == nil:
				v.Daemon = &info
			case !notRunning(err):
				return err
			}
			if a.json {
				return a.printJSON(v)
			}
			text := fmt.Sprintf("brokerctl %s, API %d\n", v.Client.Version, v.Client.API)
			if d := v.Daemon; d != nil {
				text += fmt.Sprintf("brokerd   %s, API %d, pid %d\n", clean(d.Version), d.API, d.PID)
			} else {
				text += "brokerd   is not running\n"
			}
			return a.print(text)
		},
	}
}

// ownVersion is what the go command has recorded: the module's version, or one made of the commit.
func ownVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
