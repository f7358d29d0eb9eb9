package main

import (
	"context"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs ID",
		Short: "Print what the program and its debug server have printed",
		Long:  "Print what the program and its debug server have printed. Lines of the debug server are dimmed on a terminal; --json tells them apart.",
		Example: `  brokerctl logs k3f9x2
  brokerctl logs k3f9x2 -f        # until the session ends
  brokerctl logs k3f9x2 --json`,
		Args:              oneID,
		ValidArgsFunction: a.completeSessions(true, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.talk(cmd.Context(), func(c *api.Client) error {
				return follows(a, cmd.Context(), follow, func(ctx context.Context) iter.Seq2[api.LogLine, error] {
					return c.Logs(ctx, args[0], follow)
				}, a.logLine)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the session ends")
	return cmd
}

func (a *app) logLine(l api.LogLine) string {
	text := strings.TrimSuffix(cleanText(l.Text), "\n")
	if l.Stream == "server" {
		text = a.stdout.paint(dim, text)
	}
	return text + "\n"
}

// follows prints a stream, as JSON lines or as text makes them. Without follow it is bounded.
func follows[T any](a *app, ctx context.Context, follow bool, stream func(context.Context) iter.Seq2[T, error], text func(T) string) error {
	reading, cancel := ctx, context.CancelFunc(func() {})
	if !follow {
		reading, cancel = context.WithTimeout(ctx, quickTimeout)
	}
	defer cancel()
	for v, err := range stream(reading) {
		if err == nil && a.json {
			err = a.printJSON(v)
		} else if err == nil {
			err = a.print(text(v))
		}
		if err != nil && follow && ctx.Err() != nil {
			return done{exitInterrupted} // how a stream is left
		}
		if err != nil {
			return err
		}
	}
	return nil
}
