package configs

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// array is a table that may be there several times: [[forward]].
type array struct {
	name   string
	fields []field                   // their targets are in the element that is the last of a Config
	begin  func(c *Config, line int) // adds an element
	len    func(c *Config) int
	keep   func(c *Config, i int)                          // cuts off the elements behind i
	whole  func(c *Config, given map[string]bool) []string // what is wrong with the last element as a whole; given says which keys it has
}

func arrays() []array {
	forward := func(c *Config) *Forward { return &c.Forwards[len(c.Forwards)-1] }
	host := func(c *Config) *Host { return &c.Hosts[len(c.Hosts)-1] }
	return []array{
		{
			name: "forward",
			fields: []field{
				{key: "forward.name", target: func(c *Config) any { return &forward(c).Name }, text: ForwardName},
				{key: "forward.host", target: func(c *Config) any { return &forward(c).Host }, text: hostName},
				{key: "forward.local", target: func(c *Config) any { return &forward(c).Local }, text: filled},
				{key: "forward.remote", target: func(c *Config) any { return &forward(c).Remote }, text: filled},
				{key: "forward.socks", target: func(c *Config) any { return &forward(c).Socks }, text: filled},
				{key: "forward.same_user", target: func(c *Config) any { return &forward(c).SameUser }},
			},
			begin: func(c *Config, line int) { c.Forwards = append(c.Forwards, Forward{Line: line}) },
			len:   func(c *Config) int { return len(c.Forwards) },
			keep:  func(c *Config, i int) { c.Forwards = slices.Clip(c.Forwards[:i+1]) },
			whole: wholeForward,
		},
		{
			name: "host",
			fields: []field{
				{key: "host.match", target: func(c *Config) any { return &host(c).Match }, text: hostPattern},
				{key: "host.ssh_forwards", target: func(c *Config) any { return &host(c).SSHForwards }},
				{key: "host.forward_agent", target: func(c *Config) any { return &host(c).ForwardAgent }},
			},
			begin: func(c *Config, line int) { c.Hosts = append(c.Hosts, Host{Line: line}) },
			len:   func(c *Config) int { return len(c.Hosts) },
			keep:  func(c *Config, i int) { c.Hosts = slices.Clip(c.Hosts[:i+1]) },
			whole: func(_ *Config, given map[string]bool) []string {
				if given["host.match"] {
					return nil
				}
				return []string{`lacks match: a host's name, or a pattern like "web*"`}
			},
		},
	}
}

// wholeForward wants a host, and one thing to do there.
func wholeForward(c *Config, given map[string]bool) (problems []string) {
	f := c.Forwards[len(c.Forwards)-1]
	var kinds []string
	for _, kind := range []string{"local", "remote", "socks"} {
		if given["forward."+kind] {
			kinds = append(kinds, kind)
		}
	}
	if !given["forward.host"] {
		problems = append(problems, "lacks host: a name as ssh takes it")
	}
	switch {
	case len(kinds) == 0:
		problems = append(problems, `lacks what to forward: local = "5432:db:5432", remote = "9000:localhost:3000" or socks = "1080", as ssh's -L, -R and -D`)
	case len(kinds) > 1:
		problems = append(problems, fmt.Sprintf("has %s; write one [[forward]] for each", strings.Join(kinds, " and ")))
	case f.SameUser && kinds[0] == "remote":
		problems = append(problems, "has same_user, which is for local and socks: who connects on the other machine cannot be told")
	}
	return problems
}

// problems tells what is wrong with the elements of a Config that no file gave.
func (a array) problems(c Config) []Problem {
	var out []Problem
	for i := range a.len(&c) {
		one := c
		a.keep(&one, i) // so that the fields look at this one
		given := map[string]bool{}
		for _, f := range a.fields {
			switch v := f.target(&one).(type) {
			case *string:
				given[f.key] = *v != ""
			case *bool:
				given[f.key] = *v
			}
			for _, message := range f.problems(&one) {
				out = append(out, Problem{Key: f.key, Message: message})
			}
		}
		for _, message := range a.whole(&one, given) {
			out = append(out, Problem{Key: "[[" + a.name + "]]", Message: message})
		}
	}
	return out
}

// arrayOf is the array that a key or table belongs to.
func arrayOf(key string) (array, bool) {
	name, _, _ := strings.Cut(key, ".")
	all := arrays()
	i := slices.IndexFunc(all, func(a array) bool { return a.name == name })
	if i < 0 {
		return array{}, false
	}
	return all[i], true
}

// KeepsSSHForwards tells whether the forwards of a host's ssh configuration are wanted.
func (c Config) KeepsSSHForwards(host string) bool {
	v := c.first(host, func(h Host) *bool { return h.SSHForwards })
	return v != nil && *v
}

// PassesOverSSHForwards tells whether nothing is said of the forwards of a host's ssh configuration: nobody has decided to do without them.
func (c Config) PassesOverSSHForwards(host string) bool {
	return c.first(host, func(h Host) *bool { return h.SSHForwards }) == nil
}

// ForwardsAgent tells whether commands on a host may use the user's ssh-agent.
func (c Config) ForwardsAgent(host string) bool {
	v := c.first(host, func(h Host) *bool { return h.ForwardAgent })
	return v != nil && *v
}

// first is what the first [[host]] says that matches and sets an option; nil where none does.
func (c Config) first(host string, option func(Host) *bool) *bool {
	for _, h := range c.Hosts {
		if v := option(h); v != nil && h.Matches(host) {
			return v
		}
	}
	return nil
}

// Matches tells whether a host's name, without the user before it, is meant. Letters are as they are: names in an ssh configuration are
// told apart by case, too.
func (h Host) Matches(host string) bool {
	ok, err := path.Match(h.Match, host[strings.LastIndexByte(host, '@')+1:])
	return err == nil && ok
}

// Pattern tells whether more than one name can match.
func (h Host) Pattern() bool { return strings.ContainsAny(h.Match, "*?") }

func filled(s string) string {
	if s == "" {
		return "is empty; leave it out instead"
	}
	return ""
}

// ForwardName tells what is wrong with the name of a forward; "" is nothing.
func ForwardName(s string) string {
	fits := func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("._-", r)
	}
	switch {
	case s == "":
		return "is empty; leave it out instead"
	case len(s) > 64:
		return "is too long: at most 64 characters"
	case strings.ContainsFunc(s, func(r rune) bool { return !fits(r) }), strings.HasPrefix(s, "-"), strings.Trim(s, ".") == "":
		return fmt.Sprintf("%.100q is no name: letters, digits, '.', '_' and '-', and no '-' at the beginning", s)
	}
	return ""
}

func hostName(s string) string {
	switch {
	case s == "":
		return "is empty; leave it out instead"
	case len(s) > 512:
		return "is too long for a host"
	case strings.HasPrefix(s, "-"), strings.ContainsAny(s, " \t\n*?"), !utf8.ValidString(s):
		return fmt.Sprintf("%.100q is no host", s)
	}
	return ""
}

func hostPattern(s string) string {
	switch {
	case s == "":
		return "is empty; leave it out instead"
	case strings.ContainsAny(s, " \t\n[]\\,!@"):
		return fmt.Sprintf("%.100q is no host and no pattern: one name, with * and ? for what may differ, and without a user", s)
	}
	return ""
}
