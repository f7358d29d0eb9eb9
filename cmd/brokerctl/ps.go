package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

// lookTimeout bounds a look at a host: the daemon may have to connect to it first, and has bounds of its own, which tell more.
const lookTimeout = 2 * time.Minute

func (a *app) psCommand() *cobra.Command {
	var sudo bool
	cmd := &cobra.Command{
		Use:   "ps [HOST][:LANG]",
		Short: "List what can be debugged on a host",
		Long: `List the processes on HOST that can be debugged, of one language or of all, and the debug servers that listen there already. Without a
HOST it is this machine: "ps :" or "ps :go". Nothing on the host is touched.

  LISTENING  a debug server listens there: open --port takes it
  TRACER     another debugger has the process, and keeps others out
  CONTAINER  the process runs in one`,
		Example: `  brokerctl ps web1
  brokerctl ps web1:python
  brokerctl ps :                     # this machine
  brokerctl ps web1:node --sudo      # other users' processes in full
  brokerctl ps web1 --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(cmd, "ps takes one HOST[:LANG], and got %d arguments", len(args))
			}
			_, err := parsePlace(args[0])
			return err
		},
		ValidArgsFunction: a.completeTargetsOrHosts,
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := parsePlace(args[0])
			if err != nil {
				return err
			}
			return a.ps(cmd.Context(), api.ProcessesRequest{Host: at.host, Lang: at.lang, Sudo: sudo, Caller: caller(a.env)})
		},
	}
	cmd.Flags().BoolVar(&sudo, "sudo", false, "look through sudo -n there, which shows other users' processes in full")
	return cmd
}

// parsePlace takes HOST[:LANG] apart; the language is "" where all are meant, the host where it is this machine.
func parsePlace(s string) (target, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		if s == "" {
			return target{}, &api.Error{Code: api.CodeUsage, Message: "the host is empty", Hint: `":" is this machine`}
		}
		host, err := parseHost(s)
		return target{host: host}, err
	}
	if i == len(s)-1 {
		host, err := parseHost(s[:i])
		return target{host: host}, err
	}
	return parseTarget(s)
}

func (a *app) ps(ctx context.Context, req api.ProcessesRequest) error {
	var list []api.Process
	err := a.answering(ctx, req.Host, func() error {
		p := a.startProgress("looking for brokerd")
		defer p.stop()
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		p.set("looking at the processes of " + cmp.Or(req.Host, "this machine"))
		list, err = processes(ctx, c, req)
		return err
	})
	if err != nil {
		return err
	}
	return printList(a, list, clean(nothingFound(req)), processTable)
}

// processes asks for them and gives empty lists where there are none.
func processes(ctx context.Context, c *api.Client, req api.ProcessesRequest) ([]api.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	list, err := c.Processes(ctx, req)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Command = append([]string{}, list[i].Command...)
	}
	return append([]api.Process{}, list...), nil
}

// nothingFound says so of a look at a host.
func nothingFound(req api.ProcessesRequest) string {
	what := "nothing that can be debugged"
	if req.Lang != "" {
		what = "no " + req.Lang + " program"
	}
	text := fmt.Sprintf("%s runs on %s", what, cmp.Or(req.Host, "this machine"))
	if !req.Sudo {
		text += ", as far as your user there can see"
	}
	return text
}

// processTable is the list as lines, clean. Where the screen is too narrow, what says nothing of any goes first, then what is the same of all.
func processTable(list []api.Process, width int) []string {
	head := []string{"PID", "LANG", "USER", "LISTENING", "TRACER", "CONTAINER", "COMMAND"}
	rows := make([][]string, 0, len(list))
	for _, p := range list {
		rows = append(rows, []string{strconv.Itoa(p.PID), clean(p.Lang), dash(clean(p.User)), dash(listening(p)), dash(tracedBy(p)), dash(clean(p.Container)), dash(processCommand(p))})
	}
	var spare []string
	for i, name := range head[1 : len(head)-1] {
		switch cell := rows[0][i+1]; {
		case slices.ContainsFunc(rows, func(row []string) bool { return row[i+1] != cell }):
		case cell == dash(""):
			spare = slices.Insert(spare, 0, name)
		default:
			spare = append(spare, name)
		}
	}
	return fitted(head, rows, width, spare...)
}

func listening(p api.Process) string {
	if p.Listening == nil {
		return ""
	}
	return clean(*p.Listening)
}

// tracedBy says who has a process, clean: a session of ours goes by its id.
func tracedBy(p api.Process) string {
	switch {
	case p.Session != "":
		return "session " + clean(p.Session)
	case p.Tracer == nil:
		return ""
	case p.Tracer.Command == "":
		return strconv.Itoa(p.Tracer.PID)
	default:
		return fmt.Sprintf("%d (%s)", p.Tracer.PID, clean(p.Tracer.Command))
	}
}

// processCommand is a process's command line, clean; a debug server is marked.
func processCommand(p api.Process) string {
	c := commandLine(p.Command)
	if p.Server {
		return "[debug server] " + c
	}
	return c
}
