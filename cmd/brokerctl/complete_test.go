package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

// TestCompletionOfHosts: HOST, HOST:LANG and HOST[:LANG], from a daemon that names web1 and db.
func TestCompletionOfHosts(t *testing.T) {
	state, err := os.MkdirTemp("/tmp", "bc-") // short, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	stop, err := newFake(api.DaemonInfo{API: api.Version, PID: os.Getpid()}).listen(filepath.Join(state, api.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	a := newApp(nil)
	a.env = func(name string) string {
		return map[string]string{"BROKER_STATE_DIR": state, "HOME": state}[name]
	}
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	const noFiles, noSpace, keep = cobra.ShellCompDirectiveNoFileComp, cobra.ShellCompDirectiveNoSpace, cobra.ShellCompDirectiveKeepOrder
	python := []string{"web1:python", "web1:go", "web1:node", "web1:java"}
	for name, tt := range map[string]struct {
		complete  completion
		args      []string
		typed     string
		want      []string // the first of them
		directive cobra.ShellCompDirective
	}{
		"host":            {a.completeHosts, nil, "", []string{"web1", "db"}, noFiles},
		"host, user":      {a.completeHosts, nil, "me@", []string{"me@web1", "me@db"}, noFiles},
		"second host":     {a.completeHosts, []string{"web1"}, "", nil, noFiles},
		"target":          {a.completeTargets, nil, "", []string{":\tthis machine", "web1:", "db:"}, noFiles | noSpace},
		"target's lang":   {a.completeTargets, nil, "web1:", python, noFiles | keep},
		"either":          {a.completeTargetsOrHosts, nil, "", []string{":\tthis machine", "web1:", "db:", "web1", "db"}, noFiles | noSpace},
		"either's lang":   {a.completeTargetsOrHosts, nil, "web1:p", python, noFiles | keep},
		"a second either": {a.completeTargetsOrHosts, []string{"web1"}, "", nil, noFiles},
	} {
		got, directive := tt.complete(cmd, tt.args, tt.typed)
		if !slices.Equal(got[:min(len(got), len(tt.want))], tt.want) || len(tt.want) == 0 && len(got) > 0 || directive != tt.directive {
			t.Errorf("%s: %q, %d; want %q, %d", name, got, directive, tt.want, tt.directive)
		}
	}
}
