package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/debugbroker/debugbroker/broker/api"
)

// usage is an error for a command line that makes no sense.
func usage(cmd *cobra.Command, format string, args ...any) error {
	return &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf(format, args...), Hint: cmd.CommandPath() + " --help"}
}

// noArgs and oneID replace cobra's own validators, whose errors could only be told from others by their text.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd, "%s takes no argument, and got %q", cmd.Name(), args[0])
	}
	return nil
}

func oneID(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd, "%s takes one session id, and got %d arguments", cmd.Name(), len(args))
	}
	return validID(cmd, args[0])
}

// validID refuses what cannot be an id before it gets into a URL: "" would address the collection, "." and ".." its parents.
func validID(cmd *cobra.Command, id string) error {
	if id == "" || strings.Trim(id, ".") == "" || strings.ContainsAny(id, "/ \t\n") {
		return usage(cmd, "%q is no session id", id)
	}
	return nil
}

// noSuchCommand judges what stands where a verb belongs.
func (a *app) noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(cmd, args[0])
}

func unknownCommand(root *cobra.Command, name string) error {
	e := &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("unknown command %q", name), Hint: "brokerctl --help lists them"}
	root.SuggestionsMinimumDistance = 2
	if s := root.SuggestionsFor(name); len(s) > 0 {
		e.Hint = "did you mean: " + strings.Join(s, ", ")
	}
	return e
}

// flagError is called for what pflag cannot parse. Parsing stopped there, so --json may stand behind it unseen.
func (a *app) flagError(cmd *cobra.Command, err error) error {
	a.json = jsonAsked(a.args)
	var unknown *pflag.NotExistError
	if cmd.Name() == "open" && errors.As(err, &unknown) {
		// `open -oProxyCommand=x:python`: the flag is meant as a host, or is meant to be taken for one.
		if s := unknown.GetSpecifiedShortnames(); strings.Contains(s, ":") {
			return usage(cmd, "%q is no HOST:LANG: a host name does not begin with '-'", "-"+s)
		}
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		e := usage(cmd, "--%s does not take %q", invalid.GetFlag().Name, invalid.GetValue()).(*api.Error)
		if invalid.GetFlag().Value.Type() == "duration" {
			e.Hint = "a time is written as 90s, 45m, 2h or 1h30m; a day is 24h"
			if invalid.GetFlag().Name == "ttl" { // a thousand years are more than can be parsed
				e.Hint += ", and 720h is the most"
			}
		}
		return e
	}
	return usage(cmd, "%s", err)
}

// jsonAsked looks for --json on a command line that cannot be parsed, or is not parsed yet.
func jsonAsked(args []string) bool {
	asked := false
	for _, arg := range args {
		switch value, given := strings.CutPrefix(arg, "--json="); {
		case arg == "--":
			return asked
		case arg == "--json":
			asked = true
		case given:
			asked, _ = strconv.ParseBool(value)
		}
	}
	return asked
}
