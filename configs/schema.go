package configs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// field is a key of the file. Its type in the file follows from what target points to: a string, bool, []string or time.Duration.
type field struct {
	key      string // as in the file, with its table: "session.ttl"
	target   func(*Config) any
	text     func(string) string // what is wrong with a string; "" is nothing
	home     bool                // a leading ~/ is this machine's home
	min, max time.Duration
	open     bool // a zero duration in a Config stands for "left out"
}

func schema() []field {
	return []field{
		{key: "ssh_config", target: func(c *Config) any { return &c.SSHConfig }, text: absolute, home: true},
		{key: "brokerd", target: func(c *Config) any { return &c.Brokerd }, text: absolute},
		{key: "log_level", target: func(c *Config) any { return &c.LogLevel }, text: logLevel},
		{key: "session.ttl", target: func(c *Config) any { return &c.Session.TTL }, min: time.Minute, max: 30 * 24 * time.Hour},
		{key: "session.open_timeout", target: func(c *Config) any { return &c.Session.OpenTimeout }, min: time.Second, max: time.Hour, open: true},
		{key: "python.interpreters", target: func(c *Config) any { return &c.Python.Interpreters }, text: absolute},
		{key: "python.stock", target: func(c *Config) any { return &c.Python.Stock }},
		{key: "go.dlv", target: func(c *Config) any { return &c.Go.Dlv }, text: absolute},
		{key: "node.node", target: func(c *Config) any { return &c.Node.Node }, text: absolute},
		{key: "java.java", target: func(c *Config) any { return &c.Java.Java }, text: absolute},
	}
}

// tables are the tables that the schema's keys are in.
func tables() []string {
	var out []string
	for _, f := range schema() {
		if table, _, ok := strings.Cut(f.key, "."); ok && !slices.Contains(out, table) {
			out = append(out, table)
		}
	}
	return out
}

// tableNames are all that may stand in brackets.
func tableNames() []string {
	out := tables()
	for _, a := range arrays() {
		out = append(out, a.name)
	}
	return out
}

// problems tells what is wrong with the value that a field has in c. A string that is not set is right.
func (f field) problems(c *Config) []string {
	var out []string
	add := func(message string) {
		if message != "" {
			out = append(out, message)
		}
	}
	switch v := f.target(c).(type) {
	case *string:
		if *v != "" {
			add(f.text(*v))
		}
	case *[]string:
		for _, s := range *v {
			add(f.text(s))
		}
	case *time.Duration:
		if *v != 0 || !f.open {
			add(f.span(*v))
		}
	}
	return out
}

func (f field) span(d time.Duration) string {
	if d < f.min || d > f.max {
		return fmt.Sprintf("%s is out of range: %s to %s", short(d), short(f.min), short(f.max))
	}
	return ""
}

// short is a duration without the zeros: 8h, not 8h0m0s.
func short(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

func absolute(path string) string {
	switch {
	case path == "":
		return "is empty; leave it out instead"
	case strings.ContainsRune(path, 0):
		return "a path cannot contain a zero byte"
	case !filepath.IsAbs(path):
		return fmt.Sprintf("%q is relative; write the whole path, from /", path)
	}
	return ""
}

func logLevel(level string) string {
	levels := []string{"trace", "debug", "info", "warn", "error", "off"}
	if slices.Contains(levels, level) {
		return ""
	}
	return fmt.Sprintf("%q is none of %s", level, strings.Join(levels, ", ")) + didYouMean(level, levels)
}
