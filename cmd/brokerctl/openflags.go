package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/cmd/brokerctl/ide"
)

// maxTTL is the longest time limit of a session.
const maxTTL = 30 * 24 * time.Hour

// openFlags are open's flags as they were given.
type openFlags struct {
	port, localPort     int
	pid                 int
	match, unit         string
	sudo                bool
	cwd, interpreter    string
	env, maps           []string
	wait, noWait, stock bool
	ttl                 time.Duration
	reason              string
	ide                 string
}

func (f *openFlags) register(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.IntVar(&f.port, "port", 0, "a debug server that already listens on the host's loopback, at port `N`")
	fs.IntVar(&f.pid, "pid", 0, "attach to the running process `N`")
	fs.StringVar(&f.match, "match", "", "attach to the running process of that language whose command line matches `REGEX` (RE2); exactly one must")
	fs.StringVar(&f.unit, "unit", "", "attach to the process of the systemd unit `NAME`, the user's or else the system's")
	fs.BoolVar(&f.sudo, "sudo", false, "with --pid, --match and --unit: work through sudo -n there, for processes of another user")
	fs.StringVar(&f.cwd, "cwd", "", "working directory `DIR` on the host (default: the same path as here where it exists there, else the program's directory, else home)")
	fs.StringArrayVar(&f.env, "env", nil, "set an environment variable of the program, `K=V`; may be repeated")
	fs.StringVar(&f.interpreter, "interpreter", "", "the python, dlv, node or java to use there, by its `PATH`")
	fs.BoolVar(&f.wait, "wait", false, "the program waits for the front end before it runs (default)")
	fs.BoolVar(&f.noWait, "no-wait", false, "the program runs at once")
	fs.IntVar(&f.localPort, "local-port", 0, "the port `N` on 127.0.0.1 (default: the one this host and language had before, else a free one)")
	fs.DurationVar(&f.ttl, "ttl", 0, "close the session after this `TIME`, as in 90m or 2h; at most 720h, which is 30 days (default 8h, or the configuration's)")
	fs.StringVar(&f.reason, "reason", "", "why, as `TEXT` for the record: show and list --json tell it")
	fs.StringArrayVar(&f.maps, "map", nil, "map a directory here to one there, `LOCAL=REMOTE`, for the front end's configuration; may be repeated (default: the working directory here = the one there)")
	fs.StringVar(&f.ide, "ide", "", "write the configuration of the front end `NAME` too, as ide --write does: "+strings.Join(ide.Writable(), ", "))
	fs.BoolVar(&f.stock, "stock-debugpy", false, "python: start debugpy exactly as its makers do, without what makes each step faster")
}

// request judges the command line and makes of it what the daemon is asked for. It asks nobody.
func (f *openFlags) request(cmd *cobra.Command, args []string, env func(string) string) (api.OpenRequest, error) {
	none := api.OpenRequest{}
	args, program, launch := split(cmd, args)
	if len(args) != 1 {
		if len(args) == 0 {
			return none, usage(cmd, "open takes HOST:LANG")
		}
		e := usage(cmd, "open takes one HOST:LANG, and got %q too", args[1]).(*api.Error)
		e.Hint = "a program stands behind --: brokerctl open HOST:LANG -- PROGRAM ARG..."
		return none, e
	}
	t, err := parseTarget(args[0])
	if err != nil {
		return none, err
	}
	if err := f.check(cmd, t.lang, program, launch); err != nil {
		return none, err
	}
	maps, err := f.pathMaps(cmd)
	if err != nil {
		return none, err
	}
	return api.OpenRequest{
		Host: t.host, Lang: t.lang,
		Program: program, Port: f.port, PID: f.pid, Match: f.match, Unit: f.unit, Sudo: f.sudo,
		Cwd: f.cwd, LocalCwd: workingDirectory(), Env: f.env, Interpreter: f.interpreter,
		NoWait: f.noWait, Stock: f.stock,
		LocalPort: f.localPort, TTL: f.ttl, Reason: f.reason, Map: maps,
		Caller: caller(env),
	}, nil
}

// split takes what stands behind "--" off the arguments.
func split(cmd *cobra.Command, args []string) (before, program []string, launch bool) {
	n := cmd.ArgsLenAtDash()
	if n < 0 {
		return args, nil, false
	}
	return args[:n], args[n:], true
}

// check holds the flags against each other. One that would have no effect is refused, not ignored.
func (f *openFlags) check(cmd *cobra.Command, lang string, program []string, launch bool) error {
	given := cmd.Flags().Changed
	if err := f.checkWays(cmd, program, launch); err != nil {
		return err
	}
	switch {
	case given("port") && (f.port < 1 || f.port > 65535):
		return usage(cmd, "--port %d is no port: 1 to 65535", f.port)
	case given("local-port") && (f.localPort < 1 || f.localPort > 65535):
		return usage(cmd, "--local-port %d is no port: 1 to 65535", f.localPort)
	case f.wait && f.noWait:
		return usage(cmd, "--wait and --no-wait contradict each other")
	case f.stock && lang != "python":
		return usage(cmd, "--stock-debugpy is for python, not %s", lang)
	case given("ttl") && f.ttl < time.Second:
		return usage(cmd, "--ttl is too short: at least 1s")
	case f.ttl > maxTTL:
		return usage(cmd, "--ttl is too long: at most 720h, which is 30 days")
	}
	if given("ide") {
		if err := writable(cmd, f.ide, lang); err != nil {
			return err
		}
	}
	if err := f.checkRunning(cmd, launch); err != nil {
		return err
	}
	for _, name := range []string{"cwd", "interpreter"} {
		if given(name) && cmd.Flag(name).Value.String() == "" {
			return usage(cmd, "--%s is empty", name)
		}
	}
	return f.checkText(cmd, program)
}

// checkWays wants exactly one thing to debug.
func (f *openFlags) checkWays(cmd *cobra.Command, program []string, launch bool) error {
	var ways []string
	for _, name := range []string{"pid", "match", "unit", "port"} {
		if cmd.Flags().Changed(name) {
			ways = append(ways, "--"+name)
		}
	}
	if launch {
		ways = append(ways, "a program behind --")
	}
	switch {
	case len(ways) > 1:
		return usage(cmd, "two ways to debug: %s, and %s", ways[0], ways[1])
	case launch && (len(program) == 0 || program[0] == ""):
		return usage(cmd, "no program stands behind --")
	case len(ways) == 0:
		e := usage(cmd, "nothing to debug").(*api.Error)
		e.Hint = "name a program behind --, a running process with --pid, --match or --unit, or a debug server that listens there already with --port"
		return e
	}
	return nil
}

// checkRunning refuses flags that mean nothing to what runs already, and the other way round.
func (f *openFlags) checkRunning(cmd *cobra.Command, launch bool) error {
	given := cmd.Flags().Changed
	attach := given("pid") || given("match") || given("unit")
	switch {
	case given("pid") && f.pid < 1:
		return usage(cmd, "--pid %d is no process id", f.pid)
	case given("match") && f.match == "":
		return usage(cmd, "--match is empty: it would match every process")
	case given("unit") && f.unit == "":
		return usage(cmd, "--unit is empty")
	case strings.HasPrefix(f.unit, "-") || strings.ContainsAny(f.unit, "*?[/ \t\n"):
		return usage(cmd, "--unit %q is no unit's name", f.unit)
	case f.sudo && !attach:
		return usage(cmd, "--sudo is for --pid, --match and --unit")
	}
	if _, err := regexp.Compile(f.match); err != nil {
		e := usage(cmd, "--match: %v", err).(*api.Error)
		e.Hint = "regular expressions as RE2 has them, without backreferences and look-around: https://github.com/google/re2/wiki/Syntax"
		return e
	}
	if launch {
		return nil
	}
	for _, name := range []string{"env", "wait", "no-wait", "stock-debugpy"} {
		if given(name) {
			return usage(cmd, "--%s is for a program behind --; what is named runs already", name)
		}
	}
	switch {
	case given("interpreter") && !attach:
		return usage(cmd, "--interpreter is for a program behind -- and for running processes; what --port names runs already")
	case given("cwd") && attach:
		return usage(cmd, "--cwd is for a program behind --; a running process has its own, and --map maps it")
	}
	return nil
}

// checkText refuses what could not arrive as it is: the API's JSON holds UTF-8 only, and no process is given a zero byte.
func (f *openFlags) checkText(cmd *cobra.Command, program []string) error {
	for _, kv := range f.env {
		// The value may be a secret, and without '=' all of it may be: it is not repeated.
		name, _, ok := strings.Cut(kv, "=")
		switch {
		case !ok || name == "":
			return usage(cmd, "--env takes K=V, and one lacks the name or the '='")
		case !fit(kv):
			return usage(cmd, "--env %q holds a zero byte or is not UTF-8", name)
		}
	}
	for what, texts := range map[string][]string{"program": program, "--cwd": {f.cwd}, "--interpreter": {f.interpreter}, "--match": {f.match}, "--unit": {f.unit}, "--reason": {f.reason}, "--map": f.maps} {
		for _, s := range texts {
			if !fit(s) {
				return usage(cmd, "%s: %q holds a zero byte or is not UTF-8", what, s)
			}
		}
	}
	return nil
}

func fit(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func (f *openFlags) pathMaps(cmd *cobra.Command) ([]api.PathMap, error) {
	var maps []api.PathMap
	for _, s := range f.maps {
		local, remote, ok := strings.Cut(s, "=")
		if !ok || local == "" || remote == "" {
			return nil, usage(cmd, "--map takes LOCAL=REMOTE, and got %q", s)
		}
		abs, err := filepath.Abs(local)
		if err != nil {
			return nil, fmt.Errorf("resolve %s: %w", local, err)
		}
		maps = append(maps, api.PathMap{Local: abs, Remote: remote})
	}
	return maps, nil
}
