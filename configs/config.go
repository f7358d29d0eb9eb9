package configs

import (
	"time"
)

// Config is what the user can set. The zero value of a field that names something means "found as usual".
type Config struct {
	SSHConfig string // the ssh configuration, as ssh -F; "" is the user's own
	Brokerd   string // the daemon that brokerctl starts; "" is the one beside itself
	LogLevel  string // trace, debug, info, warn, error, off
	Session   Session
	Python    Python
	Go        Go
	Node      Node
	Java      Java
	Forwards  []Forward // in the order of the file
	Hosts     []Host    // in the order of the file
}

// Forward is a [[forward]]: one that is kept as long as it stands in the file. Exactly one of Local, Remote and Socks is set. What these
// say is not looked into here.
type Forward struct {
	Line     int    // of the file, from 1; 0 where it came from none
	Name     string // "" has one made
	Host     string // as ssh takes it
	Local    string // as ssh's -L
	Remote   string // as ssh's -R
	Socks    string // as ssh's -D
	SameUser bool   // connections of other users of this machine are refused
}

// Host is a [[host]]: what holds for the hosts whose names match.
type Host struct {
	Line  int    // as in Forward
	Match string // a name as the user says it to ssh, or a pattern with * and ?
	// Of the options the first that a matching Host sets counts, as in ssh's configuration; nil is not set.
	SSHForwards *bool // the forwards of its ssh configuration are kept
	// ForwardAgent lets programs there use the user's ssh-agent. Whoever rules such a host can sign with the user's keys as long as the link is
	// up, so no ssh configuration is obeyed in this.
	ForwardAgent *bool
}

// Session holds the limits of sessions.
type Session struct {
	TTL         time.Duration // how long a session lives where open does not say; 1 m to 30 days
	OpenTimeout time.Duration // how long a debug server has to announce itself; 1 s to 1 h; 0 is what suits the server
}

// Python configures debugpy. Paths are on the remote.
type Python struct {
	Interpreters []string // tried before all others
	Stock        bool     // start debugpy exactly as its makers do, without what makes it faster
}

// Go configures Delve.
type Go struct {
	Dlv string // on the remote; "" looks in the PATH
}

// Node configures node.
type Node struct {
	Node string // on the remote; "" looks in the PATH
}

// Java configures the JVM.
type Java struct {
	Java string // on the remote; "" looks in the PATH
}

// Default is the configuration without a file.
func Default() Config {
	return Config{
		LogLevel: "info",
		Session:  Session{TTL: 8 * time.Hour},
	}
}

// Validate tells what is wrong with a configuration that did not come from Load unchanged. The error is a *Error without lines.
func (c Config) Validate() error {
	var problems []Problem
	for _, f := range schema() {
		for _, message := range f.problems(&c) {
			problems = append(problems, Problem{Key: f.key, Message: message})
		}
	}
	for _, a := range arrays() {
		problems = append(problems, a.problems(c)...)
	}
	if len(problems) > 0 {
		return &Error{Path: "configuration", Problems: problems}
	}
	return nil
}
