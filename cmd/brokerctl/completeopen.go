package main

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/debugbroker/debugbroker/cmd/brokerctl/ide"
)

// completeOpen offers targets, and behind "--" files where the program is on this machine.
func (a *app) completeOpen(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	// cobra adds a "--" of its own to what it parses: only the whole line tells whether one was typed.
	if typed := a.args[:max(0, len(a.args)-1)]; slices.Contains(typed, "--") {
		if t, err := parseTarget(append(args, "")[0]); err == nil && t.host == "" {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return completeNothing(cmd, args, toComplete)
	}
	return a.completeTargets(cmd, args, toComplete)
}

// completeOpenFlags sees to it that no flag of open offers files of this machine where it means none: most paths are on the host.
func completeOpenFlags(cmd *cobra.Command) {
	values := map[string]completion{"ttl": completeWords("30m", "1h", "2h", "8h", "24h"), "ide": completeWords(ide.Writable()...)}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Value.Type() == "bool" {
			return
		}
		complete := values[f.Name]
		if complete == nil {
			complete = completeNothing
		}
		if err := cmd.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
			panic(err) // it is registered twice
		}
	})
}
