package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/cmd/brokerctl/ide"
)

// ideAnswer is what ide prints with --json.
type ideAnswer struct {
	For     string `json:"for"`
	Session string `json:"session"`
	Name    string `json:"name"` // what the configuration is called there
	// File is where it belongs or, once written, is: relative to the working directory; "" where only the user can put it.
	File string `json:"file"`
	// Config is the configuration as an object, or null where it is code or XML.
	Config  any      `json:"config"`
	Text    string   `json:"text"`
	Notes   []string `json:"notes"`
	Written bool     `json:"written"` // it stands in the file
	Changed bool     `json:"changed"` // the file is another than before
}

func (a *app) ideCommand() *cobra.Command {
	var name string
	var write bool
	cmd := &cobra.Command{
		Use:   "ide ID --for " + strings.Join(ide.Names(""), "|") + " [--write]",
		Short: "Print or write a front end's configuration for a session",
		Long: `Print the configuration with which a front end attaches to a session, path mappings included.

With --write it is merged into the front end's file below the working directory, which is made if it is not there:
  vscode     .vscode/launch.json
  zed        .zed/debug.json
  jetbrains  .run/debugbroker_HOST_LANG.run.xml
It takes the place of the one of the last session of that host and language. Comments and all other configurations stay as they are.
A file that cannot be read is not touched.`,
		Example: `  brokerctl ide k3f9x2 --for vscode --write     # then F5
  brokerctl ide k3f9x2 --for nvim > attach.lua  # then :luafile attach.lua
  eval "$(brokerctl ide k3f9x2 --for cli)"      # dlv connect, jdb, node inspect`,
		Args:              oneID,
		ValidArgsFunction: a.completeSessions(false, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			check := func() error { return ide.Check(name, "") }
			switch {
			case name == "":
				e := usage(cmd, "--for is missing").(*api.Error)
				e.Hint = "name a front end: " + strings.Join(ide.Names(""), ", ")
				return e
			case write:
				check = func() error { return writable(cmd, name, "") }
			}
			if err := check(); err != nil {
				return err
			}
			return a.ide(cmd.Context(), args[0], name, write)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&name, "for", "", "the front end `NAME`: "+strings.Join(ide.Names(""), ", "))
	cmd.Flags().BoolVar(&write, "write", false, "merge it into the front end's file below the working directory: "+strings.Join(ide.Writable(), ", "))
	if err := cmd.RegisterFlagCompletionFunc("for", completeWords(ide.Names("")...)); err != nil {
		panic(err) // it is registered twice
	}
	return cmd
}

// writable refuses front ends without a file of their own in a project.
func writable(cmd *cobra.Command, name, lang string) error {
	if err := ide.Check(name, lang); err != nil {
		return err
	}
	for _, w := range ide.Writable() {
		if w == name {
			return nil
		}
	}
	flag := "--write"
	if cmd.Name() == "open" {
		flag = "--ide"
	}
	e := usage(cmd, "%s is for %s; %s has no file in a project", flag, strings.Join(ide.Writable(), ", "), name).(*api.Error)
	e.Hint = "brokerctl ide ID --for " + name + " prints it, and tells where it belongs"
	return e
}

func (a *app) ide(ctx context.Context, id, name string, write bool) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, quickTimeout)
	defer cancel()
	s, err := c.Session(ctx, id)
	if err != nil {
		return err
	}
	conf, err := ide.Make(name, s)
	if err != nil {
		return err
	}
	answer := ideAnswer{For: name, Session: s.ID, Name: conf.Name, File: conf.File, Config: conf.Value, Text: conf.Text, Notes: append([]string{}, conf.Notes...)}
	if write {
		if answer.Changed, err = writeConfig(conf); err != nil {
			return err
		}
		answer.Written = true
	}
	if a.json {
		return a.printJSON(answer)
	}
	for _, n := range conf.Notes {
		a.say("note: %s", clean(n))
	}
	if write {
		return a.print(written(conf, answer.Changed))
	}
	a.say("%s", clean(conf.Where))
	return a.print(conf.Text)
}

// written is what people are told, clean.
func written(c ide.Config, changed bool) string {
	if !changed {
		return fmt.Sprintf("%s has %q already\n", clean(c.File), clean(c.Name))
	}
	return fmt.Sprintf("wrote %q to %s\n", clean(c.Name), clean(c.File))
}

// tryConfig finds out whether a configuration could be written, before a session is opened for it.
func tryConfig(name string, req api.OpenRequest) error {
	if name == "" {
		return nil
	}
	conf, err := ide.Make(name, api.Session{Host: req.Host, Lang: req.Lang, Phase: api.PhaseReady, Local: "127.0.0.1:1"})
	if err != nil {
		return err
	}
	_, err = mergedFile(conf)
	return err
}

// configureOpened writes the configuration for a session that has just opened. The session stays where that fails.
func (a *app) configureOpened(s api.Session, name string) error {
	if name == "" {
		return nil
	}
	conf, err := ide.Make(name, s)
	changed := false
	if err == nil {
		changed, err = writeConfig(conf)
	}
	var e *api.Error
	switch {
	case err == nil:
		for _, n := range conf.Notes {
			a.say("note: %s", clean(n))
		}
		a.say("%s", strings.TrimSuffix(written(conf, changed), "\n"))
		return nil
	case errors.As(err, &e):
		e.Message = fmt.Sprintf("the session %s is open, but: %s", s.ID, e.Message)
	}
	if a.json { // the one document has been printed: it is the session
		e = classify(context.Background(), err)
		a.complain(e)
		return done{e.Code.Exit()}
	}
	return err
}
