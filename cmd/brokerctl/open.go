package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

// cancelTimeout bounds how long Ctrl-C waits for the remote to be cleaned up.
const cancelTimeout = 15 * time.Second

func (a *app) openCommand() *cobra.Command {
	var f openFlags
	cmd := &cobra.Command{
		Use:   "open [HOST]:LANG [flags] [-- PROGRAM [ARG...]]",
		Short: "Open a debug session and print the port to attach to",
		Long: `Open a debug session on HOST, and print the address on 127.0.0.1 that a debugger front end attaches to.

HOST is a name or alias as "ssh HOST" takes it; an IPv6 address stands in brackets; without one the session is on this machine.
LANG is python, go, node or java (or py, debugpy, golang, dlv, js, jvm, jdwp).

What is debugged is what runs already, named by --pid, --match or --unit; or a debug server that listens already, named by --port; or
what stands behind "--", which is started under the debug server:
  python   a script, or -m MODULE
  go       a directory, .go file or import path, which is built there, or an executable
  node     whatever may follow node
  java     whatever may follow java: -cp DIR App, -jar FILE
With none of these it lets you pick, at a terminal, one of the processes there.

What the host asks for (a password, a passphrase, a one-time code) is asked at the terminal; where there is none that is an error, and
"brokerctl auth HOST" lets you answer.

The command returns when the session is ready; the session lives on in brokerd until it is closed or its time is up. Ctrl-C
before that cancels it and cleans up.`,
		Example: `  brokerctl open web1:python -- app.py --verbose
  brokerctl open web1:go --cwd /srv/shop -- ./cmd/shop
  brokerctl open web1:node --no-wait -- server.js
  brokerctl open web1:java -- -cp build App
  brokerctl open web1:go --pid 4242            # a program that runs already, and runs on afterwards
  brokerctl open web1:python --match 'worker\.py --queue mail'
  brokerctl open web1:node --unit shop.service --sudo
  brokerctl open web1:python --port 5678       # a debugpy that listens there already
  brokerctl open :python -- app.py             # on this machine, without ssh
  brokerctl open web1:python --map .=/srv/app --env DEBUG=1 --ttl 2h -- app.py
  brokerctl open web1:python --ide vscode -- app.py   # then F5 in VS Code`,
		ValidArgsFunction: a.completeOpen,
		Args:              cobra.ArbitraryArgs, // request judges them
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.named(cmd, &f, args); err != nil {
				return err
			}
			req, err := f.request(cmd, args, a.env)
			if err != nil {
				return err
			}
			return a.open(cmd.Context(), req, f.ide)
		},
	}
	f.register(cmd.Flags())
	completeOpenFlags(cmd)
	return cmd
}

// open opens a session, and writes the configuration of the front end editor for it, if editor is not "".
func (a *app) open(ctx context.Context, req api.OpenRequest, editor string) error {
	if err := tryConfig(editor, req); err != nil {
		return err // before anything is started
	}
	p := a.startProgress("looking for brokerd")
	defer p.stop()
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	id := ""
	p.set("asking brokerd")
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	asks := a.prompter(c, p, giveUp)
	req.CanPrompt = asks != nil
	s, err := c.Open(ctx, req, func(ev api.OpenEvent) {
		asks.handle(ctx, ev.Prompt, ev.Withdrawn)
		if ev.ID != "" {
			id = ev.ID
		}
		if ev.Progress != "" {
			p.set(ev.Progress)
		}
	})
	asks.close()
	p.stop()
	if ctx.Err() != nil {
		if s.ID != "" {
			id = s.ID // it got ready at the very moment: it is not wanted any more
		}
		return a.cancel(ctx, c, id)
	}
	if err != nil {
		return err
	}
	if a.json {
		if err := a.printJSON(whole(s)); err != nil {
			return err
		}
		return a.configureOpened(s, editor)
	}
	for _, w := range s.Warnings {
		a.warn(w)
	}
	if err := a.print(opened(a.stdout, s)); err != nil {
		return err
	}
	return a.configureOpened(s, editor)
}

// cancel makes sure that nothing is left of a session that is not wanted any more. The daemon ends it by itself when our request
// does; asking for it tells when that is done, and what is left.
func (a *app) cancel(ctx context.Context, c *api.Client, id string) error {
	if id == "" {
		return context.Cause(ctx)
	}
	e := &api.Error{Code: api.CodeCancelled, Message: "cancelled", Hint: "nothing is left of it"}
	a.say("cancelling… (Ctrl-C again leaves at once)")
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	closed, err := c.CloseSession(ctx, id)
	switch {
	case err != nil:
		e.Message = fmt.Sprintf("cancelled, and close %s: %v", id, err)
		e.Hint = "brokerd goes on with it; brokerctl show " + id + " tells"
	case closed.Error != nil:
		e.Message = fmt.Sprintf("cancelled, and close %s: %v", id, closed.Error)
		e.Hint = closed.Error.Hint
	case len(closed.Left) > 0:
		e.Message = "cancelled; left there: " + strings.Join(closed.Left, ", ")
		e.Hint = "brokerctl show " + id + " tells where"
	}
	return e
}
