package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// script is what completion answers with --json.
type script struct {
	Shell  string `json:"shell"`
	Script string `json:"script"`
}

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "completion bash|zsh|fish",
		Short:     "Print a shell's completion script",
		ValidArgs: []string{"bash", "zsh", "fish"},
		Example: `  source <(brokerctl completion bash)
  brokerctl completion zsh > "${fpath[1]}/_brokerctl"
  brokerctl completion fish > ~/.config/fish/completions/brokerctl.fish`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(cmd, "completion takes one shell: bash, zsh or fish")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var b strings.Builder
			var err error
			switch args[0] {
			case "bash":
				err = cmd.Root().GenBashCompletionV2(&b, true)
			case "zsh":
				err = cmd.Root().GenZshCompletion(&b)
			case "fish":
				err = cmd.Root().GenFishCompletion(&b, true)
			default:
				return usage(cmd, "no completion for %q: there is bash, zsh and fish", args[0])
			}
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(script{args[0], b.String()})
			}
			return a.print(b.String())
		},
	}
}
