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
				if err = cmd.Root().GenBashCompletionV2(&b, true); err == nil {
					return a.printScript(args[0], strings.Replace(b.String(), bashWords, bashOwnWords, 1))
				}
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
			return a.printScript(args[0], b.String())
		},
	}
}

func (a *app) printScript(shell, text string) error {
	if a.json {
		return a.printJSON(script{shell, text})
	}
	return a.print(text)
}

// bashWords is how cobra's script gets at the words of the line. The function comes with the package bash-completion, which many machines
// lack, macOS first of all.
const bashWords = `    _get_comp_words_by_ref "$@" cur prev words cword
`

// bashOwnWords does without: bash has split the line at ':' and '=' too, and what stands together there is one word. It is for bash 3.2.
const bashOwnWords = `    if declare -F _get_comp_words_by_ref >/dev/null 2>&1; then
        _get_comp_words_by_ref "$@" cur prev words cword
        return
    fi
    local i word before rest=$COMP_LINE
    words=()
    for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $word ]]; then
            before=${rest%%"$word"*}
            rest=${rest#*"$word"}
        else
            before=$rest
        fi
        if [[ $i -gt 0 && -z $before ]]; then
            words[${#words[@]}-1]+=$word
        else
            words+=("$word")
        fi
        [[ $i -eq $COMP_CWORD ]] && cword=$((${#words[@]} - 1))
    done
    cur=${words[cword]}
    prev=
    [[ $cword -gt 0 ]] && prev=${words[cword-1]}
    return 0
`
