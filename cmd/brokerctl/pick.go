package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/debugbroker/debugbroker/broker/api"
)

const (
	// hintTimeout bounds the look at a host for an error's hint: who gets it waits for an error, not for a host.
	hintTimeout = 20 * time.Second
	hintLines   = 10 // of processes that a hint names
)

// named completes a command line that names nothing to debug: at a terminal the user picks a process, whose flag is set as if it had been
// given; elsewhere it is an error, whose hint lists what there is. A command line that names something is left as it is.
func (a *app) named(cmd *cobra.Command, f *openFlags, args []string) error {
	if len(args) != 1 || cmd.ArgsLenAtDash() >= 0 || slices.ContainsFunc([]string{"pid", "match", "unit", "port"}, cmd.Flags().Changed) {
		return nil
	}
	req, err := f.asIfPicked(cmd, args, a.env)
	if err != nil {
		return err
	}
	look := api.ProcessesRequest{Host: req.Host, Lang: req.Lang, Sudo: req.Sudo, Caller: req.Caller}
	nothing := usage(cmd, "nothing to debug").(*api.Error)
	nothing.Hint = "name a program behind --, a running process with --pid, --match or --unit, or a debug server that listens there already with --port"
	people := !a.json && a.stderr.cursor && term.IsTerminal(int(os.Stdin.Fd()))
	ctx, timeout := cmd.Context(), lookTimeout
	if !people {
		timeout = hintTimeout
	}
	var list []choice
	err = a.answering(ctx, look.Host, func() (err error) {
		list, err = a.choices(ctx, look, timeout)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && people:
		return err
	case err != nil:
		nothing.Hint += "\nwhat runs there is not known: " + err.Error()
		return nothing
	case len(list) == 0:
		nothing.Hint = nothingFound(look) + ": " + nothing.Hint
		return nothing
	case !people:
		nothing.Hint += "\n" + strings.Join(choiceHints(list), "\n")
		return nothing
	}
	p, err := a.pick(ctx, look, list)
	if err != nil {
		return err
	}
	flag, value := p.flag()
	target := args[0]
	a.say("brokerctl open %s --%s %s   %s", clean(target), flag, value, cut(processCommand(api.Process(p)), 60))
	return cmd.Flags().Set(flag, value)
}

// asIfPicked judges the rest of the command line before anybody is asked, as if a process had been named.
func (f *openFlags) asIfPicked(cmd *cobra.Command, args []string, env func(string) string) (api.OpenRequest, error) {
	pid := cmd.Flag("pid")
	if err := cmd.Flags().Set("pid", "1"); err != nil {
		return api.OpenRequest{}, err
	}
	defer func() { f.pid, pid.Changed = 0, false }()
	return f.request(cmd, args, env)
}

// choice is a process of ps as open may take it.
type choice api.Process

// flag is how open names it.
func (p choice) flag() (name, value string) {
	if port, ok := p.port(); p.Server && ok {
		return "port", port
	}
	return "pid", strconv.Itoa(p.PID)
}

// port is the one that a debug server listens on.
func (p choice) port() (string, bool) {
	if p.Listening == nil {
		return "", false
	}
	_, port, ok := cutLast(*p.Listening, ":")
	n, err := strconv.Atoi(port)
	return strconv.Itoa(n), ok && err == nil && n > 0 && n <= 65535
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// taken says why a process cannot be opened now, clean; "" is no reason. The daemon knows more, and judges again.
func (p choice) taken() string {
	_, listens := p.port()
	switch {
	case p.Session != "":
		return "session " + clean(p.Session) + " has it"
	case p.Tracer != nil:
		return "traced by " + tracedBy(api.Process(p))
	case p.Server && !listens:
		return "a debug server that listens nowhere we know of"
	}
	return ""
}

// choices asks the daemon what can be picked: what is free first.
func (a *app) choices(ctx context.Context, look api.ProcessesRequest, timeout time.Duration) ([]choice, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	progress := a.startProgress("looking at the processes of " + cmp.Or(look.Host, "this machine"))
	defer progress.stop()
	c, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	list, err := processes(ctx, c, look)
	if err != nil {
		return nil, err
	}
	out := make([]choice, 0, len(list))
	for _, p := range list {
		out = append(out, choice(p))
	}
	slices.SortStableFunc(out, func(x, y choice) int { return cmp.Compare(min(1, len(x.taken())), min(1, len(y.taken()))) })
	return out, nil
}

// choiceHints names the first of them as flags, clean.
func choiceHints(list []choice) []string {
	var lines []string
	for i, p := range list {
		if i == hintLines-1 && len(list) > hintLines {
			return append(lines, fmt.Sprintf("… and %d more: brokerctl ps shows them", len(list)-i))
		}
		name, value := p.flag()
		line := fmt.Sprintf("--%s %s  %s  %s", name, value, clean(p.User), processCommand(api.Process(p)))
		if why := p.taken(); why != "" {
			line += " (" + why + ")"
		}
		lines = append(lines, cut(line, 120))
	}
	return lines
}

// pick lets the user choose one.
func (a *app) pick(ctx context.Context, look api.ProcessesRequest, list []choice) (choice, error) {
	p := newPicker(fmt.Sprintf("Which %s program of %s?", clean(look.Lang), clean(cmp.Or(look.Host, "this machine"))), list, a.stderr)
	// Signals stay interruptible's, which ends ctx.
	_, err := tea.NewProgram(p, tea.WithContext(ctx), tea.WithInput(os.Stdin), tea.WithOutput(a.stderr.File), tea.WithoutSignalHandler()).Run()
	switch {
	case ctx.Err() != nil:
		return choice{}, context.Cause(ctx)
	case err != nil:
		return choice{}, fmt.Errorf("let you pick a process: %w", err)
	case p.chosen < 0:
		return choice{}, &api.Error{Code: api.CodeCancelled, Message: "cancelled", Hint: "nothing was opened"}
	}
	return list[p.chosen], nil
}
