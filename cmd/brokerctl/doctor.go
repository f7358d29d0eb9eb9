package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

// doctorTimeout is more than the daemon gives an examination.
const doctorTimeout = 4 * time.Minute

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor [[HOST][:LANG]]",
		Short: "Check each thing that must hold, and tell what to do where it does not",
		Long: `Check each thing that must hold, and tell what to do where it does not.

Without an argument: this machine's side (brokerd, its directory and configuration, ssh, agent, known hosts). With HOST: the way there on a
connection of its own, each jump host, the host's key, each key of yours, what its SSH server allows, and the host itself.
With :LANG behind it: what debugging that language there needs too. ":LANG", or ":", is this machine as the host.

A line is a check. "FAIL" has a hint below it, and so may "ok", where something is good to know. A check that fails early ends
the examination; a last line "not looked at" says so. Nothing is changed on the host: a private directory is made, tried and removed.

With --json each check is an object: {"check":"host key","ok":true,"detail":"...","hint":""}.

Exit status: 0 where all checks hold; 1 where one does not, whichever: also where the host cannot be reached, or refuses the keys
(the check tells which). Other statuses say that there was no examination: 2 for wrong usage, 130 for Ctrl-C.`,
		Example: `  brokerctl doctor
  brokerctl doctor web1
  brokerctl doctor web1:go
  brokerctl doctor :python
  brokerctl doctor web1 --json | jq -r 'select(.ok|not) | .check + ": " + .hint'`,
		Args:              atMostOneHost,
		ValidArgsFunction: a.completeTargetsOrHosts,
		RunE: func(cmd *cobra.Command, args []string) error {
			req := api.DoctorRequest{Caller: caller(a.env)}
			if len(args) == 1 {
				t, err := parsePlace(args[0])
				if err != nil {
					return err
				}
				req.Host, req.Lang, req.Local = t.host, t.lang, t.host == ""
			}
			return a.doctor(cmd.Context(), req)
		},
	}
}

func atMostOneHost(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage(cmd, "doctor takes one HOST, HOST:LANG or :LANG, and got %d arguments", len(args))
	}
	return nil
}

// doctor prints the checks as they come.
func (a *app) doctor(ctx context.Context, req api.DoctorRequest) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	all, bad := 0, 0
	for check, err := range c.Doctor(ctx, req) {
		if err != nil {
			return err
		}
		all++
		if !check.OK {
			bad++
		}
		if a.json {
			err = a.printJSON(check)
		} else {
			err = a.print(a.checkLines(check))
		}
		if err != nil {
			return err
		}
	}
	if all == 0 {
		return &api.Error{Code: api.CodeDaemon, Message: "brokerd ended the answer early", Hint: "see its log: brokerd.log in the state directory"}
	}
	if bad == 0 {
		if !a.json {
			a.say("all %d checks hold", all)
		}
		return nil
	}
	if !a.json {
		a.say("%d of %d checks fail", bad, all)
	}
	return done{1}
}

// checkWidth is the column in which what was found begins.
const checkWidth = 18

// checkLines is a check for people: a mark, its name, what was found, and the hint below.
func (a *app) checkLines(c api.Check) string {
	mark := a.stdout.paint(green, "ok  ")
	if !c.OK {
		mark = a.stdout.paint(red, "FAIL")
	}
	text := fmt.Sprintf("%s  %-*s  %s\n", mark, checkWidth, clean(c.Check), clean(c.Detail))
	if c.Hint != "" {
		text += fmt.Sprintf("      %s %s\n", a.stdout.paint(yellow, "hint:"), clean(c.Hint))
	}
	return text
}
