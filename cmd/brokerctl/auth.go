package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

func (a *app) authCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "auth HOST",
		Short: "Answer what a host asks for, so that brokerd can go on",
		Long: `Connect to HOST and answer, at the terminal, what it asks for: a password, a key's passphrase, a one-time code, a touch of a security key.

A host that asked while nobody was there is in the state "needs-auth" (brokerctl hosts): brokerd does not try it again by itself, since
servers lock out who keeps failing. This command brings the link up; what waits for the host goes on then. brokerd keeps no answer:
when the link is lost and the host asks again, so does this command.

At a terminal, open, forward and ps ask the same questions themselves. Answers are read from the terminal, even where standard input or
output is none. Without a terminal nothing is asked, and a host that asks is an error at once: exit status 4.

With --json it prints {"host":"web1","user":"deploy","by":"password","already":false,"link":{...}}.`,
		Example: `  brokerctl auth web1
  brokerctl auth deploy@web1
  brokerctl auth web1 --json | jq -r .by`,
		Args:              oneHost,
		ValidArgsFunction: a.completeHosts,
		RunE: func(cmd *cobra.Command, args []string) error {
			host, err := parseHost(args[0])
			if err != nil {
				return err
			}
			return a.auth(cmd.Context(), host)
		},
	}
}

func oneHost(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd, "%s takes one HOST, and got %d arguments", cmd.Name(), len(args))
	}
	if args[0] == "" {
		return usage(cmd, "this machine asks for nothing: name a HOST")
	}
	return nil
}

// auth connects to a host and says by what it was convinced.
func (a *app) auth(ctx context.Context, host string) error {
	r, err := a.letIn(ctx, host)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(r)
	}
	return a.print(authenticated(r))
}

// letIn connects to a host, and asks at the terminal what that asks for.
func (a *app) letIn(ctx context.Context, host string) (api.AuthResult, error) {
	p := a.startProgress("looking for brokerd")
	defer p.stop()
	c, err := a.connect(ctx)
	if err != nil {
		return api.AuthResult{}, err
	}
	defer c.Close()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	asks := a.prompter(c, p, giveUp)
	r, err := c.Auth(ctx, api.AuthRequest{Host: host, CanPrompt: asks != nil, Caller: caller(a.env)}, func(ev api.AuthEvent) {
		asks.handle(ctx, ev.Prompt, ev.Withdrawn)
		if ev.Progress != "" {
			p.set(ev.Progress)
		}
	})
	asks.close()
	if err != nil && ctx.Err() != nil {
		return api.AuthResult{}, context.Cause(ctx)
	}
	return r, err
}

// answering runs a call that asks nobody, and where a host wants a person, and one is at the terminal, runs it again once that has answered.
func (a *app) answering(ctx context.Context, host string, call func() error) error {
	err := call()
	if !unasked(err) {
		return err
	}
	tty := a.terminal()
	if tty == nil {
		return err
	}
	tty.Close()
	if _, err := a.letIn(ctx, host); err != nil {
		return err
	}
	return call()
}

// unasked tells the error of a host that asks what only a person can answer, or whose key only a person can accept.
func unasked(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && (e.Code == api.CodeAuth || e.Code == api.CodeHostKey)
}

// authenticated is the result for people, clean.
func authenticated(r api.AuthResult) string {
	by := " by " + clean(r.By)
	if r.By == "" {
		by = "; it asked for nothing"
	}
	verb := "authenticated to "
	if r.Already {
		verb = "already connected to "
	}
	return verb + clean(r.Host) + " as " + clean(r.User) + by + "\n"
}
