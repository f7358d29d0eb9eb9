package main

import (
	"github.com/spf13/cobra"
)

func (a *app) serviceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "service install|uninstall|status",
		Short: "Have systemd or launchd start brokerd",
		Long: `Make brokerd a service of yours: a systemd user unit, or a launchd agent. It then runs from your login on, and is started again
should it crash. Nothing else changes: without a service brokerctl starts brokerd when it is needed.`,
		Example: `  brokerctl service install
  brokerctl service status --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(cmd, "service takes install, uninstall or status")
			}
			return usage(cmd, "service takes install, uninstall or status, not %q", args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }, // Args refuses everything
	}
	cmd.AddCommand(a.serviceInstallCommand(), a.serviceUninstallCommand(), a.serviceStatusCommand())
	return cmd
}

func (a *app) serviceInstallCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install the service, or bring it up to date",
		Long: `Write the service's file, have it started at each login, and start it.

The service's brokerd is the one that brokerctl would start, with the state directory, socket and configuration of this command line
and environment (--config, BROKER_STATE_DIR, BROKER_CONFIG, BROKER_SSH_CONFIG, ...). One that runs already is ended first.

Run it again after an upgrade, or to change any of these: brokerd is started anew only if something has changed. That closes its
sessions, so it is refused where some are open, unless --force says so.`,
		Example: `  brokerctl service install
  brokerctl service install --config ~/debugbroker.toml
  brokerctl service install --force --json`,
		Args:              noArgs,
		ValidArgsFunction: completeNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.installService(cmd.Context(), force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "close the sessions that are open")
	return cmd
}

func (a *app) serviceUninstallCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "uninstall",
		Short: "End the service and remove its file",
		Long:  "End the service's brokerd, which closes its sessions, and remove the service. It is no error if none is installed.",
		Example: `  brokerctl service uninstall
  brokerctl service uninstall --json`,
		Args:              noArgs,
		ValidArgsFunction: completeNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.uninstallService(cmd.Context())
		},
	}
}

func (a *app) serviceStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell whether the service is installed, and whether it is what serves",
		Long:  "Tell whether the service is installed, enabled and active, which brokerd answers, and whether it outlives your logout. Nothing is started.",
		Example: `  brokerctl service status
  brokerctl service status --json`,
		Args:              noArgs,
		ValidArgsFunction: completeNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.tellService(cmd.Context())
		},
	}
}

// managed is the daemon's place, and the service manager that would run it.
func (a *app) managed() (place, manager, error) {
	p, err := a.place()
	if err != nil {
		return place{}, nil, err
	}
	m, err := newManager(a.env)
	return p, m, err
}
