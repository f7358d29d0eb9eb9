package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

// meaning is a line of `help errors`.
type meaning struct {
	Code    api.Code `json:"code"`
	Exit    int      `json:"exit"`
	Meaning string   `json:"meaning"`
}

// meanings explains every code; a test holds it against broker/api.
func meanings() []meaning {
	list := []meaning{
		{Code: api.CodeUsage, Meaning: "a flag, argument or request that makes no sense"},
		{Code: api.CodeConfig, Meaning: "the configuration has mistakes, is missing, or is another one than the daemon's"},
		{Code: api.CodeUnknownSession, Meaning: "no session has this id"},
		{Code: api.CodeUnknownForward, Meaning: "no forward has this name"},
		{Code: api.CodeEnded, Meaning: "the session, or the question, has ended already"},
		{Code: api.CodeAuth, Meaning: "the host refused our keys, or asks what only a person can answer: brokerctl auth HOST"},
		{Code: api.CodeHostKey, Meaning: "the host's key is unknown, changed or revoked"},
		{Code: api.CodeUnresolvable, Meaning: "the host's name has no address"},
		{Code: api.CodeUnreachable, Meaning: "the host refused the connection, did not answer in time, or has no route"},
		{Code: api.CodeLinkLost, Meaning: "the SSH connection ended meanwhile"},
		{Code: api.CodeForwarding, Meaning: "the host's SSH server forbids what is needed"},
		{Code: api.CodeMissingTool, Meaning: "interpreter or debug server is not on the host"},
		{Code: api.CodeNoPermission, Meaning: "the right to trace the process is missing on the host, or sudo does not let you"},
		{Code: api.CodePolicy, Meaning: "refused by policy, or too many sessions are open"},
		{Code: api.CodeNotFound, Meaning: "the program, directory or listener is not on the host"},
		{Code: api.CodeAmbiguous, Meaning: "several processes match; the error lists them"},
		{Code: api.CodeTraced, Meaning: "another debugger, or another session, has the process"},
		{Code: api.CodeUnsuitable, Meaning: "the process cannot be debugged as it is: it is stopped, of another language, in a container, or part of the broker"},
		{Code: api.CodePortBusy, Meaning: "the local port, or the unix socket, is taken or not for us to listen on"},
		{Code: api.CodeForwardLoop, Meaning: "the forward would lead to itself"},
		{Code: api.CodeProgramEnded, Meaning: "the program, or its build, ended before it could be debugged"},
		{Code: api.CodeNotReady, Meaning: "the debug server did not announce itself in time"},
		{Code: api.CodeExposed, Meaning: "the debug server listened beyond loopback, and was stopped"},
		{Code: api.CodeCleanUp, Meaning: "something of ours is left on the host"},
		{Code: api.CodeStore, Meaning: "the database is damaged, foreign or in use"},
		{Code: api.CodeDaemon, Meaning: "brokerd cannot be started or reached"},
		{Code: api.CodeVersion, Meaning: "brokerd and brokerctl are of different API versions"},
		{Code: api.CodeInternal, Meaning: "a bug; brokerd.log says more"},
		{Code: api.CodeCancelled, Meaning: "Ctrl-C, or closed while it opened"},
	}
	for i := range list {
		list[i].Exit = list[i].Code.Exit()
	}
	return list
}

func knownCode(c api.Code) bool {
	for _, m := range meanings() {
		if m.Code == c {
			return true
		}
	}
	return false
}

// helpCommand is cobra's, but for the topic "errors" and for an unknown command, which cobra's shows the general help for.
func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | errors]",
		Short: "Help about a command, or about the errors",
		Example: `  brokerctl help open
  brokerctl help errors`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			names := []cobra.Completion{"errors"}
			for _, c := range cmd.Root().Commands() {
				if len(args) == 0 && c.IsAvailableCommand() {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "errors" {
				return a.helpErrors()
			}
			topic, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(cmd.Root(), strings.Join(args, " "))
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
		},
	}
}

func (a *app) helpErrors() error {
	if a.json {
		return a.printJSON(meanings())
	}
	var rows [][]string
	for _, m := range meanings() {
		rows = append(rows, []string{string(m.Code), strconv.Itoa(m.Exit), m.Meaning})
	}
	text := `An error is printed as "error: ..." and then "hint: ..." on stderr; with --json as {"error":{"code","message","hint"}} on stdout.
The exit status goes with the code; 0 is success. Codes are never renamed.

`
	return a.print(text + strings.Join(table([]string{"CODE", "EXIT", "MEANING"}, rows, 0), "\n") + "\n")
}
