package main

import (
	"github.com/spf13/cobra"
)

// completeNothing offers neither words nor files.
func completeNothing(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}
