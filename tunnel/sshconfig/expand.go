package sshconfig

import (
	"crypto/sha1"
	"encoding/hex"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// expander fills in what `ssh -G` leaves open in paths: ~, %-tokens (ssh_config(5), TOKENS) and ${VARIABLES} (ENVIRONMENT
// VARIABLES).
type expander struct {
	home     string
	tokens   map[byte]string
	env      map[string]string
	warnings []string // what could not be filled in
}

func newExpander(a account, d destination, values settings, env []string) *expander {
	x := &expander{home: a.home, env: environment(env)}
	local, _ := os.Hostname() // ssh does without it, too
	short, _, _ := strings.Cut(local, ".")
	host, port, remote, jump := unbracket(values.get("hostname")), values.get("port"), values.get("user"), values.get("proxyjump")
	key := values.get("hostkeyalias")
	if key == "" {
		key = d.host
	}
	sum := sha1.Sum([]byte(local + host + port + remote + jump))
	x.tokens = map[byte]string{
		'%': "%", 'd': a.home, 'h': host, 'i': strconv.Itoa(a.uid), 'j': jump, 'k': key, 'L': short, 'l': local,
		'n': d.host, 'p': port, 'r': remote, 'u': a.name, 'C': hex.EncodeToString(sum[:]),
	}
	return x
}

// environment is an environment by name.
func environment(env []string) map[string]string {
	byName := make(map[string]string, len(env))
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		byName[name] = value
	}
	return byName
}

// path makes a path of what the configuration says: absolute where ssh would find it.
func (x *expander) path(text string) string { return x.expanded(x.variables(x.percent(text))) }

// expanded makes an absolute path of one whose tokens ssh has filled in.
func (x *expander) expanded(text string) string {
	text = x.tilde(text)
	if filepath.IsAbs(text) {
		return filepath.Clean(text)
	}
	// ssh takes it from its working directory, which a daemon does not share with its user.
	x.warn("the relative path " + strconv.Quote(text) + " is taken from the home directory")
	return filepath.Join(x.home, text)
}

func (x *expander) percent(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		value, ok := x.tokens[text[i+1]]
		if !ok {
			x.warn("the token " + strconv.Quote(text[i:i+2]) + " is not known")
			value = text[i : i+2]
		}
		out.WriteString(value)
		i++
	}
	return out.String()
}

// knownHostsCommand fills in all but the tokens that only a connection knows, and %%, which goes with them. As ssh, it parts the command before
// and leaves its first word alone (sshconnect.c, load_hostkeys_command), so that a value with a blank stays one argument.
func (x *expander) knownHostsCommand(text string) string {
	args, ok := splitArgs(text, false)
	if !ok {
		x.warn("KnownHostsCommand is left out: a quote is not closed")
		return ""
	}
	for n := 1; n < len(args); n++ {
		arg := args[n]
		var out strings.Builder
		for i := 0; i < len(arg); i++ {
			if arg[i] != '%' || i+1 == len(arg) {
				out.WriteByte(arg[i])
				continue
			}
			if i++; strings.IndexByte("%fHIKt", arg[i]) >= 0 {
				out.WriteString(arg[i-1 : i+1])
				continue
			}
			out.WriteString(literal(x.percent(arg[i-1 : i+1])))
		}
		args[n] = x.fill(out.String(), literal)
	}
	return joinArgs(args)
}

// literal keeps a value's percent signs from being taken for tokens.
func literal(value string) string { return strings.ReplaceAll(value, "%", "%%") }

func (x *expander) variables(text string) string {
	return x.fill(text, func(value string) string { return value })
}

func (x *expander) fill(text string, as func(string) string) string {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !ok || !closed {
			out.WriteString(text)
			return out.String()
		}
		value, set := x.env[name]
		if !set {
			x.warn("the variable ${" + name + "} is not set")
		}
		out.WriteString(before + as(value))
		text = after
	}
}

func (x *expander) tilde(text string) string {
	if !strings.HasPrefix(text, "~") {
		return text
	}
	name, rest, _ := strings.Cut(text[1:], "/")
	if name == "" {
		return filepath.Join(x.home, rest)
	}
	if u, err := user.Lookup(name); err == nil {
		return filepath.Join(u.HomeDir, rest)
	}
	x.warn("there is no user " + strconv.Quote(name) + " whose home ~ could be")
	return text
}

// fileList reads a list of files, each made a path by the function. `ssh -G` prints it without the quotes that it may have had, so that a blank may be part of
// a path: what does not begin like a path goes on with the one before.
func (x *expander) fileList(value string, path func(string) string) []string {
	if value == "" {
		return nil
	}
	var parts []string
	for part := range strings.SplitSeq(value, " ") {
		if len(parts) > 0 && !strings.HasPrefix(part, "/") && !strings.HasPrefix(part, "~") && !strings.HasPrefix(part, "%") && !strings.HasPrefix(part, "${") {
			parts[len(parts)-1] += " " + part
			continue
		}
		parts = append(parts, part)
	}
	var paths []string
	for _, part := range parts {
		paths = append(paths, path(part))
	}
	return paths
}

// agent reads IdentityAgent: a socket's path, "none", "SSH_AUTH_SOCK" (the caller's, "" for us), or a variable's name after $.
func (x *expander) agent(value string) string {
	switch {
	case value == "", value == "SSH_AUTH_SOCK":
		return ""
	case strings.EqualFold(value, "none"):
		return "none"
	case strings.HasPrefix(value, "$") && !strings.HasPrefix(value, "${"):
		if path := x.env[value[1:]]; path != "" {
			return path
		}
		return "none"
	}
	return x.expanded(value)
}

func (x *expander) warn(text string) {
	if !slices.Contains(x.warnings, text) {
		x.warnings = append(x.warnings, text)
	}
}
