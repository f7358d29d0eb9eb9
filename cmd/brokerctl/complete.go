package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

// Completion answers while somebody holds a key down: from a daemon that runs, in completeTimeout, or not at all. It never starts one,
// says nothing where it cannot know, and offers only what the command line could take: ids and host names with other characters than
// theirs are left out, not mended.

// completeTimeout bounds the daemon's answer, and hostsTimeout that of `brokerd ssh-hosts`.
const (
	completeTimeout = 500 * time.Millisecond
	hostsTimeout    = time.Second
)

// completion is cobra's type of function.
type completion = func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective)

// completeNothing offers neither words nor files.
func completeNothing(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeWords offers these and no files: NAME, or NAME\tDESCRIPTION.
func completeWords(words ...cobra.Completion) completion {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// completeSessions offers ids of sessions: those that have ended too where all is set, and no more than most (0: any number).
func (a *app) completeSessions(all bool, most int) completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return completeNothing(cmd, args, "")
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		c, err := a.peek(ctx)
		if err != nil {
			return completeNothing(cmd, args, "")
		}
		defer c.Close()
		sessions, err := c.Sessions(ctx, all)
		if err != nil {
			return completeNothing(cmd, args, "")
		}
		var ids []cobra.Completion
		for _, s := range sessions {
			if validID(cmd, s.ID) == nil && clean(s.ID) == s.ID && !slices.Contains(args, s.ID) && (all || !s.Phase.Ended()) {
				ids = append(ids, cobra.CompletionWithDesc(s.ID, sessionWords(s)))
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// completeForwards offers names of forwards.
func (a *app) completeForwards(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
	defer cancel()
	c, err := a.peek(ctx)
	if err != nil {
		return completeNothing(cmd, args, "")
	}
	defer c.Close()
	list, err := c.Forwards(ctx)
	if err != nil {
		return completeNothing(cmd, args, "")
	}
	var names []cobra.Completion
	for _, f := range list {
		if validForward(cmd, f.Name) == nil && clean(f.Name) == f.Name && !slices.Contains(args, f.Name) {
			names = append(names, cobra.CompletionWithDesc(f.Name, cut(route(f), 60)))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// sessionWords describe a session in one line, clean. A pid stands for what was not launched by us.
func sessionWords(s api.Session) string {
	words := s.Host + ":" + s.Lang
	if len(s.Command) > 0 {
		words += " " + commandLine(s.Command)
	}
	if s.Phase.Ended() {
		words += " (" + string(s.Phase) + ")"
	}
	return cut(clean(words), 60)
}

// peek returns a client of a daemon that runs already.
func (a *app) peek(ctx context.Context) (*api.Client, error) {
	p, err := a.place()
	if err != nil {
		return nil, err
	}
	c, _ := p.client()
	info, err := c.Info(ctx)
	if err == nil {
		err = p.fits(info)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// completeTargets offers HOST:LANG: first the hosts with their colon, then the languages.
func (a *app) completeTargets(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return completeNothing(cmd, args, toComplete)
	}
	if i := strings.LastIndexByte(toComplete, ':'); i >= 0 {
		if _, err := parseHost(toComplete[:i]); err == nil {
			return completeLanguages(toComplete[:i+1]), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		}
	}
	targets := []cobra.Completion{cobra.CompletionWithDesc(":", "this machine")}
	for _, host := range a.hostNames(cmd.Context(), toComplete) {
		targets = append(targets, host+":")
	}
	return targets, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeTargetsOrHosts is for HOST[:LANG].
func (a *app) completeTargetsOrHosts(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	targets, directive := a.completeTargets(cmd, args, toComplete)
	if directive&cobra.ShellCompDirectiveNoSpace != 0 {
		targets = append(targets, a.hostNames(cmd.Context(), toComplete)...)
	}
	return targets, directive
}

// completeHosts is for HOST.
func (a *app) completeHosts(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return completeNothing(cmd, args, toComplete)
	}
	return a.hostNames(cmd.Context(), toComplete), cobra.ShellCompDirectiveNoFileComp
}

// completeLanguages offers each language and its other names behind prefix.
func completeLanguages(prefix string) []cobra.Completion {
	var words, others []cobra.Completion
	for _, l := range languages() {
		words = append(words, prefix+l.name)
		for _, alias := range l.aliases {
			others = append(others, cobra.CompletionWithDesc(prefix+alias, l.name))
		}
	}
	return append(words, others...)
}

// hostNames lists the hosts of the ssh configuration as the command line spells them. A user before '@' is kept.
func (a *app) hostNames(ctx context.Context, toComplete string) []string {
	user := toComplete[:strings.LastIndexByte(toComplete, '@')+1]
	var hosts []string
	for _, name := range a.sshHosts(ctx) {
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
		if _, err := parseHost(user + name); err == nil && clean(name) == name {
			hosts = append(hosts, user+name)
		}
	}
	return hosts
}
