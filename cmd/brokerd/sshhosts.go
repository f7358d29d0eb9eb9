package main

import (
	"bufio"
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/configs"
	"github.com/debugbroker/debugbroker/tunnel/sshconfig"
)

// hostsCommand is the hidden first argument with which brokerctl's completion asks for the hosts of the ssh configuration where no
// daemon runs.
const hostsCommand = "ssh-hosts"

// sshHostsCommand prints a name a line. It takes no lock, writes nothing, and runs no `ssh -G`, which may run programs of the user's.
func sshHostsCommand(o *options, resolve func() error) *cobra.Command {
	return &cobra.Command{
		Use: hostsCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := resolve(); err != nil {
				return err
			}
			return printSSHHosts(cmd.Context(), cmd.OutOrStdout(), *o)
		},
	}
}

func printSSHHosts(ctx context.Context, out io.Writer, o options) error {
	cfg, err := configs.Load(o.config, o.configExplicit)
	if err != nil {
		return err
	}
	if o.sshConfig == "" {
		o.sshConfig = cfg.SSHConfig
	}
	names, err := sshconfig.NewResolver(sshconfig.Options{File: o.sshConfig}).Hosts(ctx)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	for _, name := range names {
		w.WriteString(name + "\n")
	}
	return w.Flush()
}
