package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"
)

// maxHostsOutput bounds what `brokerd ssh-hosts` may print, in bytes.
const maxHostsOutput = 1 << 20

// sshHosts names the hosts of the ssh configuration: the daemon's, or where none answers in time what brokerd would read. Nobody is told
// why there are none.
func (a *app) sshHosts(ctx context.Context) []string {
	if names, err := a.daemonsHosts(ctx); err == nil {
		return names
	}
	p, err := a.place()
	if err != nil {
		return nil
	}
	names, err := p.readHosts(ctx)
	if err != nil {
		return nil
	}
	return names
}

func (a *app) daemonsHosts(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	c, err := a.peek(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.HostNames(ctx)
}

// readHosts has brokerd read the configuration, the same that would be started: we know no SSH.
func (p place) readHosts(ctx context.Context) ([]string, error) {
	program, err := p.brokerd()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, hostsTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"ssh-hosts"}, p.flags()...)...)
	cmd.Dir = "/"
	cmd.Env = daemonEnv(os.Environ())
	cmd.WaitDelay = 100 * time.Millisecond
	var out limited
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return strings.Fields(out.String()), nil
}

// limited is a buffer that refuses too much.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxHostsOutput {
		return 0, errors.New("too much output")
	}
	return l.Buffer.Write(p)
}
