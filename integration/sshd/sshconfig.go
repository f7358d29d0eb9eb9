package sshd

import (
	"fmt"
	"slices"
	"strings"
)

// hostEntry is one Host block of the ssh_config.
type hostEntry struct {
	alias string
	lines []string
}

// AddHost adds a further Host block to ConfigFile. lines are "Option value" and win over those which make the server reachable
// ("Port 1234", "UserKnownHostsFile /dev/null", …), because ssh takes an option's first value. An alias that is already there gets lines
// that win over what it has. IdentityFile among lines replaces the key that works, though ssh would otherwise try both.
func (s *Server) AddHost(alias string, lines ...string) {
	s.t.Helper()
	if i := slices.IndexFunc(s.hosts, func(h hostEntry) bool { return h.alias == alias }); i >= 0 {
		s.hosts[i].lines = append(slices.Clone(lines), s.hosts[i].lines...)
	} else {
		s.hosts = append(s.hosts, hostEntry{alias, append(slices.Clone(lines), s.ownLines(lines)...)})
	}
	s.writeHosts()
}

// ownLines make the server reachable, and keep ssh away from the user's own keys, agent and known hosts.
func (s *Server) ownLines(over []string) []string {
	lines := []string{
		"HostName " + s.opts.Address,
		fmt.Sprintf("Port %d", s.port),
		"User " + currentUser(),
		"IdentitiesOnly yes",
		"IdentityAgent none",
		"UserKnownHostsFile " + s.KnownHosts(),
		"GlobalKnownHostsFile /dev/null",
		"StrictHostKeyChecking yes",
		"ControlPath none",
	}
	if !slices.ContainsFunc(over, func(l string) bool { return strings.HasPrefix(l, "IdentityFile ") }) {
		lines = append(lines, "IdentityFile "+s.IdentityFile())
	}
	if s.opts.Jump != nil {
		lines = append(lines, "ProxyJump "+s.opts.Jump.opts.Alias)
	}
	return lines
}

func (s *Server) addOwnHost() {
	s.t.Helper()
	if s.opts.Jump != nil {
		s.hosts = slices.Clone(s.opts.Jump.hosts)
	}
	s.AddHost(s.opts.Alias)
}

func (s *Server) writeHosts() {
	s.t.Helper()
	var b strings.Builder
	for _, h := range s.hosts {
		fmt.Fprintf(&b, "Host %s\n  %s\n\n", h.alias, strings.Join(h.lines, "\n  "))
	}
	s.write("ssh_config", b.String())
}
