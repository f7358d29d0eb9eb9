package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs"
	"github.com/debugbroker/debugbroker/configs/service"
	"github.com/debugbroker/debugbroker/store"
)

// verifyCommand is the hidden first argument with which brokerd starts itself to look at a database that may crash the process.
const verifyCommand = "verify-store"

// options is what the daemon was started with, all paths absolute.
type options struct {
	stateDir       string
	socket         string
	config         string
	configExplicit bool
	sshConfig      string
	foreground     bool
	service        string // who keeps us as a service: systemd, launchd, or nobody
}

func (o options) database() string { return filepath.Join(o.stateDir, "broker.db") }

// shownConfig is the config as /info tells it: "" where there is none.
func (o options) shownConfig() string {
	if _, err := os.Stat(o.config); err != nil && !o.configExplicit {
		return ""
	}
	return o.config
}

// execute runs the command line and returns the exit status. Errors go to stderr as `error:` and `hint:` lines, which brokerctl
// passes on when it has started us, with a `code:` line for --json and its own exit status.
func execute(ctx context.Context, args []string, stderr io.Writer) int {
	cmd := command(os.Getenv)
	cmd.SetArgs(args)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	e := explain(err)
	for line := range strings.Lines(strings.TrimSpace(e.Message)) { // the mistakes of a configuration file, one a line
		fmt.Fprintf(stderr, "error: %s\n", strings.TrimSuffix(line, "\n"))
	}
	fmt.Fprintf(stderr, "code: %s\n", e.Code)
	if e.Hint != "" {
		fmt.Fprintf(stderr, "hint: %s\n", e.Hint)
	}
	return e.Code.Exit()
}

func command(getenv func(string) string) *cobra.Command {
	var o options
	var socket string
	resolve := func() error { return o.resolve(socket, getenv) }
	cmd := &cobra.Command{
		Use:   "brokerd",
		Short: "The daemon behind brokerctl",
		Long: `brokerd owns SSH links and debug sessions, and answers brokerctl on a private unix socket.
brokerctl starts it when it is needed; there is no need to start it by hand. "brokerctl service install" makes it a service of yours.

It logs to standard error under a systemd unit or launchd job of your own and with --foreground, else to brokerd.log in the state
directory.
SIGTERM, or brokerctl stop, closes every session, cleans up on their hosts, and ends it.`,
		Example: `  brokerd --foreground
  BROKER_STATE_DIR=/tmp/second brokerd --foreground`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("brokerd takes no argument, and got %q", args[0]), Hint: "brokerd --help"}
			}
			return nil
		},
		Version:       version(),
		SilenceErrors: true,

		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		SilenceUsage:      true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := resolve(); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.PersistentFlags() // ssh-hosts takes them too
	f.StringVar(&o.stateDir, "state-dir", "", "`DIR` of the database, the log and the lock (default: $BROKER_STATE_DIR, else $XDG_STATE_HOME/debugbroker)")
	f.StringVar(&socket, "socket", "", "control socket `PATH` (default: $BROKER_SOCKET, else broker.sock in the state directory)")
	f.StringVar(&o.config, "config", "", "configuration `FILE` (default: $BROKER_CONFIG, else $XDG_CONFIG_HOME/debugbroker/config.toml)")
	f.StringVar(&o.sshConfig, "ssh-config", "", "ssh configuration `FILE`, as ssh -F (default: $BROKER_SSH_CONFIG, else the config's ssh_config)")
	f.BoolVar(&o.foreground, "foreground", false, "log to standard error")
	f.StringVar(&o.service, "service", "", "`MANAGER` that keeps brokerd as a service, systemd or launchd, as \"brokerctl service install\" sets it up: the log is brokerd.log")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return &api.Error{Code: api.CodeUsage, Message: err.Error(), Hint: "brokerd --help"}
	})
	cmd.AddCommand(sshHostsCommand(&o, resolve), &cobra.Command{
		Use: verifyCommand + " FILE", Hidden: true, Args: cobra.ExactArgs(1),
		Run: func(cmd *cobra.Command, args []string) { os.Exit(store.VerifyMain(args[0], cmd.ErrOrStderr())) },
	})
	return cmd
}

// resolve fills in what was not given on the command line.
func (o *options) resolve(socket string, getenv func(string) string) error {
	switch service.Manager(o.service) {
	case "", service.Systemd, service.Launchd:
	default:
		return &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("--service does not take %q", o.service), Hint: "systemd or launchd"}
	}
	var err error
	if o.stateDir == "" {
		if o.stateDir, err = api.StateDir(getenv); err != nil {
			return err
		}
	}
	if o.stateDir, err = filepath.Abs(o.stateDir); err != nil {
		return err
	}
	if o.socket, err = api.Socket(socket, func(name string) string {
		if name == "BROKER_STATE_DIR" {
			return o.stateDir
		}
		return getenv(name)
	}); err != nil {
		return err
	}
	if o.config, o.configExplicit, err = api.ConfigFile(o.config, getenv); err != nil {
		return err
	}
	o.sshConfig, err = api.SSHConfig(o.sshConfig, getenv)
	return err
}

// explain translates what keeps the daemon from starting.
func explain(err error) *api.Error {
	var e *api.Error
	if errors.As(err, &e) {
		return e
	}
	var hinted interface{ Hint() string }
	hint := ""
	if errors.As(err, &hinted) {
		hint = hinted.Hint()
	}
	code := api.CodeDaemon
	var damaged *store.DamagedError
	var newer *store.NewerError
	var mistakes *configs.Error
	switch {
	case errors.As(err, &damaged), errors.As(err, &newer), errors.Is(err, store.ErrInUse):
		code = api.CodeStore
	case errors.As(err, &mistakes):
		code, hint = api.CodeConfig, "correct the file, or name another with --config or BROKER_CONFIG"
	}
	return &api.Error{Code: code, Message: err.Error(), Hint: hint}
}

// version is the module's version as the Go toolchain stamped it.
func version() string {
	if bi, ok := debug.ReadBuildInfo(); ok && bi.Main.Version != "" {
		return bi.Main.Version
	}
	return "(devel)"
}
